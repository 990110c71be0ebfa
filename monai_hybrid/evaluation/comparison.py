"""Two evaluations of the same cases, case by case."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.amounts import few
from data_prep.label_names import BACKGROUND, alike_name, same_only_class
from data_prep.quoting import printable
from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.case_table import Row, check_rows, read_cases
from monai_hybrid.evaluation.record import read_record
from monai_hybrid.evaluation.statistics import RESAMPLES, SEED, PairedTest, bootstrap_interval, paired_test, patient_means
from monai_hybrid.evaluation.status import ABSENT, BEST, METRICS
from monai_hybrid.evaluation.summary import ALL
from monai_hybrid.setting_checks import is_number

Rows = dict[tuple[str, str], Row]
LONGEST = 80  # signs of a value that a message repeats
SAME = ("dataset", "split", "unit", "nsd_tolerance")  # what must be equal for the numbers to mean the same


@dataclass(frozen=True)
class Difference:
    """B minus A for one metric and class, over the cases that either run has a score for.

    The means are over cases; interval and test take patients, with all of their cases, as the independent unit.

    Attributes:
        metric, name: which metric; which class, or "all" for the mean over the classes within a case.
        n: number of pairs, one a case.
        patients: number of patients they come from.
        mean_a, mean_b: over these pairs.
        difference: mean of the differences.
        interval: 95 % bootstrap interval of it over patients; None for one patient.
        test: Wilcoxon signed-rank test on the means of each patient.
    """

    metric: str
    name: str
    n: int
    patients: int
    mean_a: float
    mean_b: float
    difference: float
    interval: tuple[float, float] | None
    test: PairedTest


def compare(run_a: Path, run_b: Path, resamples: int = RESAMPLES, seed: int = SEED) -> list[Difference]:
    """Differences B - A for each metric that both runs have and each class, "all" first.

    Where one run invents a structure and the other rightly finds nothing, the latter gets the best value (Dice and NSD 1,
    HD95 0); otherwise the pair would drop out and the invention with it. Absent in both runs: no pair.

    Args:
        run_a, run_b: output folders of evaluate.json.

    Raises:
        DataError: other cases, classes, labels, unit or tolerance; nothing to compare.
    """
    a, b = (_rows(folder) for folder in (run_a, run_b))
    b = _called_as_in(a, b)
    _refuse_other_cases(run_a, run_b, a, b)
    _refuse_other_settings(run_a, run_b)
    owner = _patients(a, b)
    metrics = [m for m in METRICS if all(m in row for row in (*a.values(), *b.values()))]
    found: list[Difference] = []
    for metric in metrics:
        pairs = {key: pair for key in a if (pair := _pair(a[key], b[key], metric)) is not None}
        for name in dict.fromkeys([ALL, *(name for _, name in pairs)]):
            values = _within_case(pairs) if name == ALL else {case: pair for (case, c), pair in pairs.items() if c == name}
            if values:
                patients = [owner[case] for case in values]
                found.append(_difference(metric, name, list(values.values()), patients, resamples, seed))
    if not found:
        raise DataError(f"{run_a} and {run_b}: no case has any of the structures; there is nothing to compare")
    return found


def _rows(folder: Path) -> Rows:
    rows = read_cases(folder)
    check_rows(rows, folder / "cases.csv")
    return {(row["case_id"], row["class"]): row for row in rows}


def _called_as_in(a: Rows, b: Rows) -> Rows:
    """`b` with the names of structures in `a`, where they are the same: a model has its own, masks those of the data set."""
    ours, theirs = (list(dict.fromkeys(name for _, name in rows)) for rows in (a, b))
    if same_only_class([BACKGROUND, *ours], [BACKGROUND, *theirs]):
        called = dict(zip(theirs, ours, strict=True))
    else:
        known = {alike_name(name): name for name in ours}
        called = {name: name if name in ours else known.get(alike_name(name), name) for name in theirs}
    return {(case, called[name]): row for (case, name), row in b.items()}


def _patients(a: Rows, b: Rows) -> dict[str, str]:
    """Patient of each case; an older table knows none, then the other one's counts."""
    return {case: a[case, c]["patient"] if a[case, c]["patient"] != case else b[case, c]["patient"] for case, c in a}


def _pair(a: Row, b: Row, metric: str) -> tuple[float, float] | None:
    if a["status"] == b["status"] == ABSENT:
        return None
    first, second = (BEST[metric] if row["status"] == ABSENT else row[metric] for row in (a, b))
    return None if first is None or second is None else (float(first), float(second))  # none: annotated in part


def _within_case(pairs: dict[tuple[str, str], tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Mean over the classes of each case, by case id."""
    cases: dict[str, list[tuple[float, float]]] = {}
    for (case, _), pair in pairs.items():
        cases.setdefault(case, []).append(pair)
    return {case: (statistics.fmean(a for a, _ in of), statistics.fmean(b for _, b in of)) for case, of in cases.items()}


def _difference(
    metric: str, name: str, pairs: list[tuple[float, float]], patients: list[str], resamples: int, seed: int
) -> Difference:
    a, b = ([pair[i] for pair in pairs] for i in (0, 1))
    differences = [y - x for x, y in pairs]
    interval = bootstrap_interval(differences, resamples, seed, patients=patients)
    test = paired_test(patient_means(a, patients), patient_means(b, patients))
    means = statistics.fmean(a), statistics.fmean(b), statistics.fmean(differences)
    return Difference(metric, name, len(pairs), len(set(patients)), *means, interval, test)


def _refuse_other_cases(run_a: Path, run_b: Path, a: Rows, b: Rows) -> None:
    for folder, more, less in ((run_a, a, b), (run_b, b, a)):
        only = [" ".join(key) for key in more if key not in less]
        if only:
            raise DataError(f"only in {folder}: {few(only, 3)}; evaluate both models on the same cases and classes")
    changed = [" ".join(key) for key in a if a[key]["label_voxels"] != b[key]["label_voxels"]]
    if changed:
        raise DataError(f"{run_a} and {run_b}: the label differs in {few(changed, 3)}; evaluate both models on the same labels")


def _refuse_other_settings(run_a: Path, run_b: Path) -> None:
    a, b = _summary(run_a), _summary(run_b)
    for name in SAME:
        if name in a and name in b and a[name] != b[name]:
            first, second = (printable(str(of[name]))[:LONGEST] for of in (a, b))
            how = f", such as with --nsd_tolerance {first}" if name == "nsd_tolerance" and is_number(a[name]) else ""
            raise DataError(f"{name}: {first} in {run_a}, {second} in {run_b}; evaluate both models in the same way{how}")


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / "summary.json"
    content = read_record(path)
    if content is None:
        raise DataError(f"{path}: there is no such file; expected the output_dir of an evaluate.json run")
    return content
