"""From the rows of all cases to means with their spread, their interval, and the count of what is not in them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monai_hybrid.evaluation.statistics import bootstrap_interval
from monai_hybrid.evaluation.status import ABSENT, INVENTED, METRICS, MISSED, OK

ALL = "all"
MODEL_DIGEST = "model_digest"  # of the file beside "model", see `data_prep.known_files`


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Metric -> class (and "all") -> mean, mean_ok, interval, sd, median, min, max and counts.

    mean: over all cases but those where the structure is absent in label and prediction; missed and invented ones count with
    their worst value. mean_ok: over the cases where it is in both, as most tools report; never quote it alone. A statistic that
    the number of cases does not allow is None.

    NSD and HD95 leave out cases that are annotated in part: these have no value.

    Counts: cases = n + undefined; n: in the mean; patients: of these n; undefined: absent in both; missed; invented.
    "all" is the mean over the classes within a case, so its n counts cases; its missed and invented count structures. Means are
    over cases; the interval draws patients with all of their cases.
    """
    names = list(dict.fromkeys(row["class"] for row in rows))
    metrics = [name for name in METRICS if rows and name in rows[0]]
    return {
        metric: {
            ALL: _of_all(rows, metric),
            **{name: _of_class([row for row in rows if row["class"] == name], metric) for name in names},
        }
        for metric in metrics
    }


def _scored(rows: Iterable[Mapping[str, Any]], metric: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["status"] != ABSENT and (metric == "dice" or row[metric] is not None)]


def _only_ok(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["status"] == OK]


def _of_class(rows: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    scored = _scored(rows, metric)
    values, patients = [row[metric] for row in scored], [patient_of(row) for row in scored]
    return _statistics(values, [row[metric] for row in _only_ok(scored)], patients) | _counts(rows, metric)


def _of_all(rows: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    means = within_case(rows, metric)
    owner = {row["case_id"]: patient_of(row) for row in rows}
    ok_values = list(within_case(_only_ok(rows), metric).values())
    return _statistics(list(means.values()), ok_values, [owner[case] for case in means]) | _counts(rows, metric)


def partly_annotated(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The cases with a Dice but without surface distances, since nobody annotated some of their voxels."""
    found = (row["case_id"] for row in rows if row["dice"] is not None and "nsd" in row and row["nsd"] is None)
    return list(dict.fromkeys(found))


def patient_of(row: Mapping[str, Any]) -> str:
    """The patient of a row; the case itself where none is known."""
    return str(row.get("patient") or row["case_id"])


def within_case(rows: Iterable[Mapping[str, Any]], metric: str) -> dict[str, float]:
    """Mean over the classes of each case that has a value at all, by case id, in the order of the rows."""
    cases: dict[str, list[float]] = {}
    for row in _scored(rows, metric):
        cases.setdefault(row["case_id"], []).append(row[metric])
    return {case: statistics.fmean(values) for case, values in cases.items()}


def _statistics(values: Sequence[float], ok_values: Sequence[float], patients: Sequence[str]) -> dict[str, Any]:
    return {
        "mean": statistics.fmean(values) if values else None,
        "mean_ok": statistics.fmean(ok_values) if ok_values else None,
        "interval": bootstrap_interval(values, patients=patients),
        "sd": statistics.stdev(values) if len(values) > 1 else None,
        "median": statistics.median(values) if values else None,
        "min": min(values, default=None),
        "max": max(values, default=None),
    }


def _counts(rows: Sequence[Mapping[str, Any]], metric: str) -> dict[str, int]:
    cases = {row["case_id"] for row in rows}
    scored = _scored(rows, metric)
    n, patients = len({row["case_id"] for row in scored}), len({patient_of(row) for row in scored})
    structures = {status: sum(row["status"] == status for row in rows) for status in (MISSED, INVENTED)}
    return {"cases": len(cases), "n": n, "patients": patients, "undefined": len(cases) - n, **structures}
