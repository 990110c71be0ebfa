"""The tables of a report, as plain data; the template draws them all in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from data_prep.amounts import plural
from data_prep.result_files import label_colour
from monai_hybrid.evaluation.case_table import Row
from monai_hybrid.evaluation.statistics import shown_p
from monai_hybrid.evaluation.status import ABSENT, INVENTED, MISSED
from monai_hybrid.evaluation.summary import ALL, partly_annotated, within_case
from monai_hybrid.reporting.charts import interval_strip
from monai_hybrid.reporting.inputs import Evaluation
from monai_hybrid.reporting.verdict import Comparison, dice_by_case, signed, span

ROWS_SHOWN = 300
COLUMNS_OF_CLASSES = 5
NONE = Markup('<span class="none" title="undefined">&ndash;</span>')
MEAN = Markup('<span class="mean">{}</span> <small>{}</small>')  # and its interval, in small numbers


@dataclass(frozen=True)
class Cell:
    """Text or markup; `value` is what it is sorted by, `mark` a CSS class."""

    text: str | Markup
    value: str | float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """Heading; whether it holds numbers."""

    name: str
    number: bool = True


@dataclass(frozen=True)
class Table:
    """Caption, columns, rows of cells (the first names the row), a note below; sortable by script where it pays."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    sortable: bool = False


def structures(evaluation: Evaluation) -> Table:
    """Dice, NSD and HD95 with intervals and counts, a row a structure; of several all of them together first."""
    names = [ALL, *evaluation.classes]
    scores, unit = evaluation.scores, evaluation.unit
    tolerance = evaluation.about.get("nsd_tolerance")
    at = f" at {tolerance:g} {unit}".rstrip() if isinstance(tolerance, (int, float)) else ""
    titles = {"dice": "Dice", "nsd": f"NSD{at}", "hd95": f"HD95 {unit}".rstrip()}
    metrics = [metric for metric in titles if metric in scores]
    rows = []
    for index, name in enumerate(names):
        if name == ALL and len(evaluation.classes) == 1:
            continue
        d = scores["dice"][name]
        values = within_case(evaluation.rows if name == ALL else [r for r in evaluation.rows if r["class"] == name], "dice")
        cells = [Cell(_swatch(name, index)), Cell(_strip(name, list(values.values()), d))]
        cells += [_with_interval(scores[metric][name], 1 if metric == "hd95" else 2) for metric in metrics]
        cells += [Cell(f"{d['n']} of {d['cases']}"), _count(d["missed"]), _count(d["invented"])]
        rows.append(cells)
    columns = [Column("Structure", False), Column("Dice by case, 0 to 1", False), *(Column(titles[m]) for m in metrics)]
    note = (
        "Small numbers: 95 % bootstrap interval of the mean (drawn over patients, each with all of its cases). "
        "Line: mean, bar: its interval, dots: cases."
    )
    if partial := partly_annotated(evaluation.rows):
        note += f" NSD and HD95 leave out the {plural(len(partial), 'case')} annotated in part."
    return Table("Scores by structure", [*columns, *map(Column, ("Cases", "Missed", "Invented"))], rows, note)


def _swatch(name: str, index: int) -> Markup:
    if name == ALL:
        return Markup("<strong>All structures</strong>")
    return Markup('<span class="swatch" style="background:{}"></span>{}').format(label_colour(index), name)


def _strip(name: str, values: Sequence[float], of: Mapping[str, Any]) -> Markup:
    if of["mean"] is None:
        return NONE
    between = f", interval {span(of['interval'], 2)}" if of["interval"] else ""
    return interval_strip(values, of["mean"], of["interval"], f"Dice of {name}: mean {of['mean']:.2f}{between}")


def _with_interval(of: Mapping[str, Any], digits: int) -> Cell:
    if of["mean"] is None:
        return Cell(NONE)
    small = span(of["interval"], digits) if of["interval"] else "no interval"
    return Cell(MEAN.format(f"{of['mean']:.{digits}f}", small), of["mean"])


def _difference(value: float | None, interval: Sequence[Any] | None) -> Cell:
    if value is None:
        return Cell(NONE)
    small = f"{signed(interval[0], 2)} to {signed(interval[1], 2)}" if interval and None not in interval else "no interval"
    return Cell(MEAN.format(signed(value, 2), small), value)


def _count(count: int) -> Cell:
    return Cell(str(count), count, "bad" if count else "")


def runs(main: str, evaluation: Evaluation, against: Sequence[Comparison]) -> Table:
    """Mean Dice of each run, and the paired difference of the main run to it."""
    own = evaluation.scores["dice"][ALL]
    rows = [
        [Cell(Markup("<strong>{}</strong>").format(main)), _with_interval(own, 2), _count(own["missed"]), *[Cell(NONE)] * 2]
    ]
    for c in against:
        d, of = c.dice, c.other.scores["dice"][ALL]
        p = (
            Markup('<span class="none" title="{}">not given</span>').format(d.test.note)
            if d.test.p is None
            else shown_p(d.test.p)
        )
        rows.append([Cell(c.name), _with_interval(of, 2), _count(of["missed"]), _difference(d.difference, d.interval), Cell(p)])
    columns = [Column("Run", False), *map(Column, ("Mean Dice", "Missed", "Difference", "Wilcoxon p"))]
    pairs = plural(min(c.dice.n for c in against), "pair")
    note = f"Difference: {main} minus that run, case by case on the same cases ({pairs}), with its 95 % interval. "
    note += "Two-sided signed-rank test, not corrected for the number of runs"
    few = any(c.dice.test.p is None for c in against)
    note += "; below six pairs that differ no p could be under 0.05, so none is given." if few else "."
    return Table("Runs on the same cases", columns, rows, note)


def cases(evaluation: Evaluation) -> Table:
    """A row a case, the worst first."""
    means = {metric: dice_by_case(evaluation.rows, metric) for metric in evaluation.scores}
    by_case: dict[str, list[Row]] = {}
    for row in evaluation.rows:
        by_case.setdefault(row["case_id"], []).append(row)
    order = sorted(by_case, key=lambda case: (means["dice"].get(case, 2.0), case))
    each = evaluation.classes if len(evaluation.classes) <= COLUMNS_OF_CLASSES else []
    titles = {"dice": "Mean Dice", "nsd": "Mean NSD", "hd95": f"Mean HD95 {evaluation.unit}".rstrip()}
    rows = []
    for case in order[:ROWS_SHOWN]:
        cells = [Cell(case, case)]
        cells += [_number(means[m].get(case), 1 if m == "hd95" else 3) for m in means]
        cells += [_score(row) for row in by_case[case]] if each else [_lowest(by_case[case])]
        rows.append(cells)
    rest = [Column(f"Dice {name}") for name in each] or [Column("Lowest Dice", False)]
    left_out = len(order) - len(rows)
    note = f"The {len(rows)} worst of {len(order)} cases; all of them are in cases.csv." if left_out else ""
    columns = [Column("Case", False), *(Column(titles[m]) for m in means), *rest]
    return Table("Scores by case, the worst first", columns, rows, note, sortable=True)


def _number(value: float | None, digits: int) -> Cell:
    return Cell(NONE) if value is None else Cell(f"{value:.{digits}f}", value)


def _score(row: Row) -> Cell:
    if row["status"] == ABSENT:
        return Cell(Markup('<span class="none">absent</span>'))
    if row["status"] in (MISSED, INVENTED):
        return Cell(row["status"], 0.0, "bad")
    return Cell(f"{row['dice']:.3f}", row["dice"])


def _lowest(rows: Sequence[Row]) -> Cell:
    scored = [row for row in rows if row["status"] != ABSENT]
    if not scored:
        return Cell(NONE)
    worst = min(scored, key=lambda row: row["dice"])
    bad = [row["class"] for row in scored if row["status"] in (MISSED, INVENTED)]
    more = f", {plural(len(bad), 'structure')} missed or invented" if bad else ""
    return Cell(f"{worst['class']} {worst['dice']:.2f}{more}", worst["dice"], "bad" if bad else "")


def forgetting(content: Mapping[str, Any]) -> Table:
    """Source-domain Dice before and after, a row a structure."""
    rows: list[list[Cell]] = []
    for name, of in {"All structures": content.get("mean") or {}, **(content.get("classes") or {})}.items():
        cells = [Cell(Markup("<strong>{}</strong>").format(name) if not rows else name)]
        cells += [_number(of.get(when), 2) for when in ("before", "after")]
        rows.append([*cells, _difference(of.get("difference"), of.get("interval"))])
    columns = [Column("Structure", False), *map(Column, ("Before", "After", "Difference"))]
    return Table("Dice on the source data, before and after adaptation", columns, rows, "Small numbers: 95 % interval.")


def mapping(caption: str, titles: tuple[str, str], content: Mapping[str, Any]) -> Table:
    """Two columns: name and value."""
    rows = [
        [Cell(str(name)), Cell(value if isinstance(value, Markup) else Markup(escape(str(value))))]
        for name, value in content.items()
    ]
    return Table(caption, [Column(title, False) for title in titles], rows)
