"""What the results of a study say: means with intervals, paired differences, labels saved.

A score is the mean Dice of a patient (over its cases and classes) after one fine-tuning. Scores lie in an array (draws, seeds,
patients); NaN where a run is not done yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_hybrid.evaluation.statistics import LEVEL, RESAMPLES, SEED, PairedTest, paired_test

Array = npt.NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Scores:
    """The scores of one arm at one number of labels.

    Attributes:
        values: (draws, seeds, patients), NaN where missing.
        runs: number of finished runs.
    """

    values: Array
    runs: int

    @property
    def mean(self) -> float:
        """Over everything that is there."""
        return float(np.nanmean(self.values))


@dataclass(frozen=True)
class Difference:
    """Arm A minus arm B over the runs that both have.

    Attributes:
        mean: mean difference.
        interval: 95 %, see `interval`; None where nothing can be resampled.
        test: Wilcoxon over patients, each with its mean difference over draws and seeds.
        runs: pairs of runs.
    """

    mean: float
    interval: Interval | None
    test: PairedTest
    runs: int


def tabulate(records: Sequence[Mapping[str, Any]], patients: Mapping[str, str]) -> dict[tuple[str, int], Scores]:
    """(arm, shots) -> scores, from the lines of `results.jsonl` and the patient of each case."""
    order = sorted(set(patients.values()))
    found: dict[tuple[str, int], Array] = {}
    draws, seeds = (max((r[k] for r in records), default=0) + 1 for k in ("draw", "seed"))
    for r in records:
        key = (r["arm"], r["shots"])
        values = found.setdefault(key, np.full((draws, seeds, len(order)), np.nan))
        by_patient: dict[str, list[float]] = {}
        for case, dice in r["dice"].items():
            by_patient.setdefault(patients[case], []).extend(dice)
        values[r["draw"], r["seed"]] = [float(np.mean(by_patient[p])) for p in order]
    return {key: Scores(v, int(np.isfinite(v).all(axis=2).sum())) for key, v in found.items()}


def interval(values: Array, resamples: int = RESAMPLES, seed: int = SEED) -> Interval | None:
    """95 % percentile bootstrap interval of the mean over draws, seeds and patients.

    Each of the three is resampled with replacement, independently of the others (the crossed, or pigeonhole, bootstrap: Owen,
    Ann. Appl. Stat. 2007), since the runs share patients and draws. It errs on the wide side. An axis of length one is left as
    it is: with one seed the interval does not know of others.

    Args:
        values: (draws, seeds, patients); NaN where a run is missing.
    """
    if max(values.shape) < 2 or not np.isfinite(values).any():
        return None
    finished = np.asarray(np.isfinite(values).all(axis=2))
    values = values[finished.any(axis=1)][:, finished.any(axis=0)]  # no run at all: nothing to draw
    times = _times_drawn(values.shape, resamples, seed)
    known = np.isfinite(values)
    total, number = (_weighted_sum(of, times) for of in (np.where(known, values, 0.0), known.astype(float)))
    means = total[number > 0] / number[number > 0]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


@lru_cache(maxsize=64)
def _times_drawn(shape: tuple[int, ...], resamples: int, seed: int) -> tuple[Array, ...]:
    """(resamples, n) for each of the axes: how often each of its n was drawn. Most pairs of a study have one shape."""
    rng = np.random.default_rng(seed)
    drawn = [[rng.integers(n, size=n) for n in shape] for _ in range(resamples)]
    return tuple(_counts(np.array(of), n) for of, n in zip(zip(*drawn, strict=True), shape, strict=True))


def _counts(index: Array, n: int) -> Array:
    """(resamples, n) indices -> how often each of the n was drawn, (resamples, n)."""
    return (index[:, :, None] == np.arange(n)).sum(1).astype(float)


def _weighted_sum(values: Array, times: Sequence[Array]) -> Array:
    """(draws, seeds, patients) -> (resamples,): the sum of each resample."""
    by_draw = np.einsum("rd,dsp->rsp", times[0], values)
    return np.einsum("rsp,rs,rp->r", by_draw, times[1], times[2])


def difference(a: Scores, b: Scores) -> Difference | None:
    """A - B, paired by draw, seed and patient; None when no run has a partner."""
    values = a.values - b.values
    paired = np.asarray(np.isfinite(values).all(axis=2))
    if not paired.any():
        return None
    per_patient = np.nanmean(values, axis=(0, 1))
    test = paired_test(np.zeros(len(per_patient)).tolist(), per_patient.tolist())
    return Difference(float(np.nanmean(values)), interval(values), test, int(paired.sum()))


def labels_needed(curve: Mapping[int, float], wanted: float) -> float | None:
    """Number of labels at which a curve (labels -> mean Dice) first reaches `wanted`, linear in the logarithm of the labels.

    The smallest number of labels when it is already there; None when it never is. Zero labels are not on the axis.
    """
    points = sorted((n, score) for n, score in curve.items() if n > 0)
    for i, (n, score) in enumerate(points):
        if score >= wanted:
            if i == 0:
                return float(n)
            before, low = points[i - 1]
            share = (wanted - low) / (score - low)
            return math.exp(math.log(before) + share * (math.log(n) - math.log(before)))
    return None
