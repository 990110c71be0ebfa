"""What a handful of cases can say: an interval for a mean, and a paired test between two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

RESAMPLES, LEVEL, SEED = 2000, 0.95, 0
# Five pairs can at best give p = 2 / 2^5 = 0.0625.
MIN_PAIRS = 6


def bootstrap_interval(
    values: Sequence[float], resamples: int = RESAMPLES, seed: int = SEED, level: float = LEVEL
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean over cases (Efron 1979); None for fewer than two values.

    With fewer than about twenty cases it is too narrow: it cannot know of cases that were not drawn.

    Args:
        values: one a case, finite.
        resamples: number of samples of the same size, drawn with replacement.
        seed: of the draw; the same values and seed give the same interval.
        level: share of the means that lie within.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2:
        return None
    rng = np.random.default_rng(seed)
    means = [sample[rng.integers(sample.size, size=sample.size)].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class PairedTest:
    """Two-sided Wilcoxon signed-rank test.

    Attributes:
        p: None when it is not given.
        pairs: number of pairs.
        zeros: pairs without a difference; left out, as Wilcoxon did.
        note: why there is no p, or what was done with zeros and ties; "" when there is nothing to say.
    """

    p: float | None
    pairs: int
    zeros: int
    note: str


def paired_test(a: Sequence[float], b: Sequence[float]) -> PairedTest:
    """Whether b differs from a, pair by pair (Wilcoxon 1945, as scipy.stats computes it).

    Differences below 1e-9 count as none. Pairs without a difference are left out, tied ones share their mean rank. Below six
    pairs that differ there is no p: whatever they are, it could not fall under 0.05.

    Args:
        a, b: the same cases in the same order.

    Raises:
        ValueError: different lengths.
    """
    if len(a) != len(b):
        raise ValueError(f"pairs expected, got {len(a)} and {len(b)} values")
    difference = np.round(np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64), 9)
    unequal = difference[difference != 0]
    zeros = len(difference) - len(unequal)
    if len(unequal) < MIN_PAIRS:
        return PairedTest(None, len(a), zeros, f"no p: {len(unequal)} of {len(a)} pairs differ, {MIN_PAIRS} needed")
    ties = len(np.unique(np.abs(unequal))) < len(unequal)
    notes = [f"{zeros} of {len(a)} pairs equal, left out"] * bool(zeros) + ["tied differences share their rank"] * ties
    return PairedTest(float(wilcoxon(unequal).pvalue), len(a), zeros, "; ".join(notes))
