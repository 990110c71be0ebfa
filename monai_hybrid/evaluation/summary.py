"""From the rows of all cases to means with their spread, their interval, and the count of what is not in them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monai_hybrid.evaluation.metrics import ABSENT, INVENTED, METRICS, MISSED, OK
from monai_hybrid.evaluation.statistics import bootstrap_interval

ALL = "all"


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Metric -> class (and "all") -> mean, mean_ok, interval, sd, median, min, max and counts.

    mean: over all cases but those where the structure is absent in label and prediction; missed and invented ones count with
    their worst value. mean_ok: over the cases where it is in both, as most tools report; never quote it alone. A statistic that
    the number of cases does not allow is None.

    Counts: cases = n + undefined; n: in the mean; undefined: absent in both; missed, invented. "all" is the mean over the
    classes within a case, so its n counts cases; its missed and invented count structures.
    """
    names = list(dict.fromkeys(row["class"] for row in rows))
    metrics = [name for name in METRICS if rows and name in rows[0]]
    return {
        metric: {
            ALL: _statistics(within_case(rows, metric), within_case(_only_ok(rows), metric)) | _counts(rows),
            **{name: _of_class([row for row in rows if row["class"] == name], metric) for name in names},
        }
        for metric in metrics
    }


def _only_ok(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["status"] == OK]


def _of_class(rows: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    values = [row[metric] for row in rows if row["status"] != ABSENT]
    return _statistics(values, [row[metric] for row in _only_ok(rows)]) | _counts(rows)


def within_case(rows: Iterable[Mapping[str, Any]], metric: str) -> list[float]:
    """Mean over the classes of each case that has a value at all, in the order of the rows."""
    cases: dict[str, list[float]] = {}
    for row in rows:
        if row["status"] != ABSENT:
            cases.setdefault(row["case_id"], []).append(row[metric])
    return [statistics.fmean(values) for values in cases.values()]


def _statistics(values: Sequence[float], ok_values: Sequence[float]) -> dict[str, Any]:
    return {
        "mean": statistics.fmean(values) if values else None,
        "mean_ok": statistics.fmean(ok_values) if ok_values else None,
        "interval": bootstrap_interval(values),
        "sd": statistics.stdev(values) if len(values) > 1 else None,
        "median": statistics.median(values) if values else None,
        "min": min(values, default=None),
        "max": max(values, default=None),
    }


def _counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    cases = {row["case_id"] for row in rows}
    n = len({row["case_id"] for row in rows if row["status"] != ABSENT})
    structures = {status: sum(row["status"] == status for row in rows) for status in (MISSED, INVENTED)}
    return {"cases": len(cases), "n": n, "undefined": len(cases) - n, **structures}
