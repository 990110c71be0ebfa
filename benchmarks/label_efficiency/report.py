"""Tables, JSON and the figure of all studies under a folder."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.label_efficiency import records
from benchmarks.label_efficiency.figure import Curve, label_efficiency_figure
from benchmarks.label_efficiency.forest import KINDS, Pair, difference_figure
from benchmarks.label_efficiency.statistics import Difference, Scores, difference, interval, labels_needed, tabulate
from benchmarks.label_efficiency.study import ARMS
from data_prep.atomic import replace_file
from monai_hybrid.errors import DataError

HERO, ANCHOR = "hybrid", 3
PEERS = ("pixel_head", "nnunet_scratch", "nnunet_supervised")
OWN = tuple(arm for arm in ARMS if arm not in (HERO, *PEERS))
REFERENCES = ("supervised", "diffusion")
# Hybrid arms that also read the target's unlabelled scans: compared with the references themselves.
WITH_TARGET = ("hybrid_target_images", "hybrid_target_denoising")
OF_HYBRID_ALONE = re.compile("_target_images|_same_rate")  # changes that supervised has no counterpart of
PEER = "nnunet_scratch"
LONGER, LONG = rf"{HERO}_\d+", rf"{HERO}(_\d+)?_long"  # pretrained, fine-tuned longer
# Of the arms of each of `forest.KINDS`.
PATTERNS = (HERO, f"{HERO}_same_rate", LONGER, LONG, rf"{HERO}_best(_long)?", rf"{HERO}_labels_10")
CURVES, DIFFERENCES = "label_efficiency.png", "label_efficiency_differences.png"
Table = dict[tuple[str, int], Scores]


def write_report(folder: Path, docs: Path | None = None) -> str:
    """Write `report.json`, `report.md` and the two figures under `folder`; with `docs` also there. Returns the Markdown.

    Under `docs`: `notes/label_efficiency.md` (between the marks of `overview` and of each study, the rest of the page stays),
    `data/label_efficiency.json` and `pictures/label_efficiency.png`, `pictures/label_efficiency_differences.png`.

    Raises:
        DataError: no results under `folder`.
    """
    studies = dict(sorted(((one.name, summarise(one)) for one in _studies(folder)), key=lambda item: item[1]["title"]))
    texts = {name: markdown(summary) for name, summary in studies.items()}
    whole = "\n\n".join(texts.values())
    records.write_json(folder / "report.json", studies)
    replace_file(folder / "report.md", lambda path: path.write_text(whole + "\n"))
    draw(studies, folder)
    if docs is not None:
        for name in ("pictures", "notes"):
            (docs / name).mkdir(parents=True, exist_ok=True)
        records.write_json(docs / "data/label_efficiency.json", studies)
        for picture in (CURVES, DIFFERENCES):
            if (folder / picture).is_file():
                shutil.copy(folder / picture, docs / "pictures" / picture)
        page = docs / "notes/label_efficiency.md"
        if lines := overview(studies):
            texts = {"overview": lines, **texts}
        filled = fill(page.read_text() if page.is_file() else "# Label efficiency\n", texts)
        replace_file(page, lambda path: path.write_text(filled))
    return whole


def _studies(folder: Path) -> list[Path]:
    found = sorted(path.parent for path in [*folder.glob("results.jsonl"), *folder.glob("*/results.jsonl")])
    if not found:
        raise DataError(f"{folder}: no results.jsonl in it or in its folders; expected the --output_dir of a study")
    return found


def fill(page: str, texts: Mapping[str, str]) -> str:
    """Put each text between `<!-- name -->` and `<!-- /name -->`, at the end where a page has no such marks."""
    for name, text in texts.items():
        block = f"<!-- {name} -->\n{text}\n<!-- /{name} -->"
        marks = re.compile(rf"<!-- {re.escape(name)} -->.*?<!-- /{re.escape(name)} -->", re.DOTALL)
        here = marks.search(page)
        page = page[: here.start()] + block + page[here.end() :] if here else f"{page.rstrip()}\n\n{block}\n"
    return page


def summarise(folder: Path) -> dict[str, Any]:
    """All numbers of a study, as JSON."""
    lines, study = records.read(folder / "results.jsonl"), records.read_json(folder / "study.json")
    scores = tabulate(lines, records.read_json(folder / "patients.json"))
    arms = [name for name in study["arms"] if any(arm == name for arm, _ in scores)]
    shots = sorted({n for _, n in scores})
    cells = [cell(arm, n, scores[arm, n], lines) for arm in arms for n in shots if (arm, n) in scores]
    return {
        "name": study["name"], "title": study["title"] or study["name"], "arms": arms, "shots": shots,
        "patients": next(iter(scores.values())).values.shape[2],
        "not_run": [name for name in study["arms"] if name not in arms],
        "cells": cells,
        "differences": [d for n in shots for d in differences(scores, arms, n) + counterparts(scores, arms, n, likes(study))],
        "labels_saved": labels_saved(scores, arms),
        "learning_rates": records.read_json(folder / "learning_rates.json"),
        "pretraining": {p.parent.name: records.read_json(p) for p in sorted(folder.glob("pretrained/*/info.json"))},
        "runs": [{k: v for k, v in r.items() if k != "dice"} for r in lines],
    }  # fmt: skip


def cell(arm: str, shots: int, scores: Scores, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One arm at one number of labels."""
    here = [r for r in lines if (r["arm"], r["shots"]) == (arm, shots)]

    def average(name: str) -> float | None:
        known = [r[name] for r in here if r.get(name) is not None]
        return sum(known) / len(known) if known else None

    return {"arm": arm, "shots": shots, "mean": scores.mean, "interval": interval(scores.values), "runs": scores.runs,
            "source_before": average("source_before"), "source_after": average("source_after"),
            "seconds": average("seconds"), "updates": average("updates")}  # fmt: skip


def differences(scores: Table, arms: Sequence[str], shots: int) -> list[dict[str, Any]]:
    """Hybrid minus each other arm, with the roles that the tables ask for."""
    if (HERO, shots) not in scores:
        return []
    others = [arm for arm in arms if arm != HERO and (arm, shots) in scores]
    best = best_of([arm for arm in others if arm in OWN], scores, shots)
    better = best_of([arm for arm in others if arm in REFERENCES], scores, shots)
    told = []
    for arm in others:
        d = difference(scores[HERO, shots], scores[arm, shots])
        if d is not None:
            roles = ["best other own arm"] * (arm == best) + ["better of supervised and diffusion"] * (arm == better)
            told.append({"shots": shots, "hero": HERO, "arm": arm, "roles": roles, **_plain(d)})
    return told


def likes(study: Mapping[str, Any]) -> dict[str, str]:
    """Of each arm the one it changes, hybrid where nothing is said."""
    return {name: arm.get("like") or HERO for name, arm in study["arms"].items()}


def counterparts(scores: Table, arms: Sequence[str], shots: int, like: Mapping[str, str]) -> list[dict[str, Any]]:
    """What else is set against the references: a pair of one change, and the arms that read unlabelled scans of the target.

    `hybrid_3000` is compared with `supervised_3000`, both three times as long, and so is `hybrid_target_images_3000`;
    `hybrid_target_images` with the better of supervised and diffusion themselves; what is fine-tuned longer (`..._long`) with
    peers and other own arms trained as long. Of an arm that changes hybrid alone, in another way, and is `like` another than
    `hybrid`, that other is the hero.
    """
    better = best_of([arm for arm in arms if arm in REFERENCES and (arm, shots) in scores], scores, shots)
    pairs = [(hero, better, "better of supervised and diffusion") for hero in WITH_TARGET]
    changed = [arm for arm in arms if arm.startswith(f"{HERO}_") and arm not in WITH_TARGET]
    pairs += [(arm, _counterpart(arm), "counterpart") for arm in changed]
    long = [arm for arm in changed if re.fullmatch(LONG, arm)]
    pairs += [(arm, f"{peer}_long", "peer") for arm in long for peer in PEERS]
    pairs += [(arm, f"{own}_long", "other own arm") for arm in long for own in OWN if own not in REFERENCES]
    pairs += [(like[arm], arm, "ablation") for arm in ablations(arms, like) if like[arm] != HERO]
    told = []
    for hero, other, role in pairs:
        if other and (hero, shots) in scores and (other, shots) in scores:
            d = difference(scores[hero, shots], scores[other, shots])
            told += [] if d is None else [{"shots": shots, "hero": hero, "arm": other, "roles": [role], **_plain(d)}]
    return told


def _counterpart(arm: str) -> str:
    """What supervised has instead of this arm of hybrid."""
    return OF_HYBRID_ALONE.sub("", arm.replace(HERO, "supervised", 1))


def ablations(arms: Sequence[str], like: Mapping[str, str]) -> list[str]:
    """Changes of hybrid that supervised has no counterpart of, and that do not read the target."""
    own = [arm for arm in arms if arm.startswith(f"{HERO}_") and arm not in WITH_TARGET and not OF_HYBRID_ALONE.search(arm)]
    return [arm for arm in own if arm.replace(HERO, "supervised", 1) not in arms and like[arm] in arms]


def best_of(arms: Sequence[str], scores: Table, shots: int) -> str | None:
    """The arm with the highest mean; chosen on the very scores it is then compared on, which favours it."""
    return max(arms, key=lambda arm: scores[arm, shots].mean, default=None)


def contrasts(folder: Path, pairs: Sequence[Sequence[str]]) -> str:
    """A table of arm minus arm at each number of labels that both were run with, of each study under `folder`.

    Raises:
        DataError: no study under `folder` has both arms of a pair.
    """
    lines = [
        "| study | labels | arm | minus | difference | 95 % interval | paired runs |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for arm, other in pairs:
        found = [row for one in _studies(folder) for row in _contrast(one, arm, other)]
        if not found:
            raise DataError(f"--minus {arm} {other}: {folder} has no runs of both at one number of labels")
        lines += found
    return "\n".join(lines)


def _contrast(folder: Path, arm: str, other: str) -> Iterator[str]:
    scores = tabulate(records.read(folder / "results.jsonl"), records.read_json(folder / "patients.json"))
    for shots in sorted({n for _, n in scores}):
        d = difference(scores[arm, shots], scores[other, shots]) if {(arm, shots), (other, shots)} <= scores.keys() else None
        if d is not None:
            low, high = map(signed, d.interval or (math.nan, math.nan))
            yield f"| {folder.name} | {shots} | {arm} | {other} | {signed(d.mean)} | [{low}, {high}] | {d.runs} |"


def runs(folder: Path) -> list[dict[str, Any]]:
    """Each run of each study under `folder`, its Dice the mean over the test patients."""
    kept = ("study", "arm", "seed", "draw", "shots", "learning_rate", "updates")
    told = []
    for one in _studies(folder):
        patients = records.read_json(one / "patients.json")
        for line in records.read(one / "results.jsonl"):
            mean = tabulate([line], patients)[line["arm"], line["shots"]].mean
            told.append({**{key: line[key] for key in kept if key in line}, "cases": len(line["dice"]), "dice": round(mean, 4)})
    return told


def _plain(d: Difference) -> dict[str, Any]:
    test = {"p": d.test.p, "pairs": d.test.pairs, "note": d.test.note}
    return {"mean": d.mean, "interval": d.interval, "wilcoxon": test, "runs": d.runs}


def labels_saved(scores: Table, arms: Sequence[str]) -> dict[str, Any] | None:
    """How many labels each other arm needs for hybrid's score at `ANCHOR` labels; the fewest of the own arms is what counts."""
    if (HERO, ANCHOR) not in scores:
        return None
    wanted = scores[HERO, ANCHOR].mean
    curves = {arm: {n: s.mean for (a, n), s in scores.items() if a == arm} for arm in arms if arm != HERO}
    needed = {arm: labels_needed(curve, wanted) for arm, curve in curves.items()}
    own = {arm: n for arm, n in needed.items() if arm in OWN}
    reached = {arm: n for arm, n in own.items() if n is not None}
    best = min(reached, key=lambda arm: reached[arm], default=None)
    most = max((n for arm in own for n in curves[arm]), default=0)
    return {"labels": ANCHOR, "dice": wanted, "needed": needed, "best_other": best,
            "factor": None if best is None else reached[best] / ANCHOR, "at_least": most / ANCHOR}  # fmt: skip


def overview(studies: Mapping[str, Mapping[str, Any]]) -> str:
    """Hybrid minus supervised, a line a study and kind; in bold what its interval tells from 0."""
    lines: dict[tuple[str, str], dict[int, Pair]] = {}
    for summary in (s for name, s in studies.items() if not name.startswith("ablations")):
        for pair in sorted(forest_pairs(summary), key=lambda pair: list(KINDS).index(pair.kind)):
            lines.setdefault((summary["title"], pair.kind), {})[pair.shots] = pair
    shots = sorted({n for line in lines.values() for n in line})
    if not shots:
        return ""
    rows, before = [], ""
    for (title, kind), line in lines.items():
        counts = [str(line[n].runs) for n in shots if n in line]
        rows.append(
            ["" if title == before else title, kind, *[_pair(line.get(n)) for n in shots], " / ".join(dict.fromkeys(counts))]
        )
        before = title
    return _table(["study", "trained", *[f"{n} label{'s' * (n != 1)}" for n in shots], "pairs of runs"], rows)


def _pair(pair: Pair | None) -> str:
    if pair is None:
        return "-"
    told = f"{signed(pair.mean)} {_signed(pair.interval)}".strip()
    return f"**{told}**" if pair.interval and (pair.interval[0] > 0 or pair.interval[1] < 0) else told


def markdown(summary: Mapping[str, Any]) -> str:
    """The tables of one study."""
    return "\n\n".join(
        part
        for part in (f"### {summary['title']}", score_table(summary), difference_table(summary), saved_line(summary))
        if part
    )


def score_table(summary: Mapping[str, Any]) -> str:
    """Arm by number of labels: mean Dice and interval."""
    cells = {(c["arm"], c["shots"]): c for c in summary["cells"]}
    head = ["arm", *[f"{n} labels" if n != 1 else "1 label" for n in summary["shots"]]]
    rows = [[arm, *[_score(cells.get((arm, n))) for n in summary["shots"]]] for arm in summary["arms"]]
    rows += [[arm, *["not run"] * len(summary["shots"])] for arm in summary["not_run"]]
    counts = [c["runs"] for c in cells.values() if c["shots"] > 0] or [0]
    note = (
        f"Mean Dice over {summary['patients']} test patients and {_range(counts)} a cell (draws of the "
        "labelled patients x pretraining seeds), with the 95 % bootstrap interval over draws, seeds and patients. "
        "Labels are patients."
    )
    return f"{_table(head, rows)}\n\n{note}"


def difference_table(summary: Mapping[str, Any]) -> str:
    """Hybrid minus the arms that matter, and the pairs of `counterparts`."""
    told = {d["hero"] for d in summary["differences"] if "ablation" not in d["roles"]}  # set against a reference of their own
    told |= {d["arm"] for d in summary["differences"] if "ablation" in d["roles"]}
    changed = [arm for arm in summary["arms"] if arm.startswith(f"{HERO}_") and arm not in told]
    shown = [d for d in summary["differences"] if d["roles"] or d["arm"] in (PEER, *changed)]
    if not shown:
        return ""
    rows = [_difference_row(d) for d in shown]
    return _table(["labels", "arm", "minus", "which is", "difference", "95 % interval", "Wilcoxon p", "paired runs"], rows)


def _difference_row(d: Mapping[str, Any]) -> list[str]:
    role = ", ".join(d["roles"]) or ("peer" if d["arm"] in PEERS else "ablation")
    p = d["wilcoxon"]["p"]
    numbers = [signed(d["mean"]), _signed(d["interval"]), "-" if p is None else f"{p:.2g}", str(d["runs"])]
    return [str(d["shots"]), d["hero"], d["arm"], role, *numbers]


def saved_line(summary: Mapping[str, Any]) -> str:
    """One sentence on labels saved."""
    saved = summary["labels_saved"]
    if saved is None or (saved["best_other"] is None and saved["at_least"] <= 1):  # nothing tried with more labels
        return ""
    start = f"Labels saved: hybrid reaches {saved['dice']:.3f} with {saved['labels']} labels;"
    if saved["best_other"] is None:
        return f"{start} no other own arm reaches that with any number tried (factor above {saved['at_least']:.1f})."
    needed = saved["needed"][saved["best_other"]]
    return f"{start} {saved['best_other']} needs {needed:.1f} (factor {saved['factor']:.2f})."


def signed(difference: float) -> str:
    """With three decimals and a sign; what rounds to nothing has none."""
    return re.sub(r"^[+-](0\.000)$", r"\1", f"{difference:+.3f}")


def _signed(pair: Sequence[float] | None) -> str:
    return "" if pair is None else f"[{signed(pair[0])}, {signed(pair[1])}]"


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low} run{'s' * (low != 1)}" if low == high else f"{low} to {high} runs"


def _score(c: Mapping[str, Any] | None) -> str:
    if c is None:
        return "-"
    return f"{c['mean']:.3f}" + (f" [{c['interval'][0]:.3f}, {c['interval'][1]:.3f}]" if c["interval"] else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw(studies: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Both figures, a panel a study; not of ablations, unless there is nothing else: the table shows their many arms better."""
    few = {name: s for name, s in studies.items() if not name.startswith("ablations")}
    panels: dict[str, list[Curve]] = {}
    forest: dict[str, list[Pair]] = {}
    for summary in (few or studies).values():
        longest = (*longest_pair(summary), *(arm for arm in summary["arms"] if arm == f"{PEER}_long"))
        shown = [arm for arm in summary["arms"] if arm in {*ARMS, *WITH_TARGET} or not few]
        panels[summary["title"]] = [curve(summary, arm, arm) for arm in shown]
        panels[summary["title"]] += [curve(summary, arm, f"{arm.split('_')[0]}_longest") for arm in longest if few]
        if pairs := forest_pairs(summary):
            forest[summary["title"]] = pairs
    label_efficiency_figure(panels, folder / CURVES)
    if forest:
        difference_figure(forest, folder / DIFFERENCES)


def forest_pairs(summary: Mapping[str, Any]) -> list[Pair]:
    """Hybrid minus supervised at 1 label and more, for the pairs that change both alike."""
    return [
        Pair(kind, d["shots"], d["mean"], None if d["interval"] is None else tuple(d["interval"]), d["runs"])
        for d in summary["differences"]
        for pattern, kind in zip(PATTERNS, KINDS, strict=True)
        if d["shots"] > 0 and re.fullmatch(pattern, d["hero"]) and d["arm"] == _counterpart(d["hero"])
    ]


def curve(summary: Mapping[str, Any], arm: str, name: str) -> Curve:
    """An arm of a study as a line of the figure."""
    here = [c for c in summary["cells"] if c["arm"] == arm]
    return Curve(name, [(c["shots"], c["mean"], *(c["interval"] or (math.nan, math.nan))) for c in here])


def longest_pair(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Hybrid and supervised as trained longest: fine-tuned longer, else pretrained longer; () without such a pair."""
    pairs = {d["hero"]: d["arm"] for d in summary["differences"] if "counterpart" in d["roles"]}
    for pattern in (LONG, LONGER):
        for arm in (arm for arm in reversed(summary["arms"]) if arm in pairs and re.fullmatch(pattern, arm)):
            return arm, pairs[arm]
    return ()
