"""What a handful of cases can say: an interval for a mean, and a paired test between two models.

Both are scipy's. Ours is what a case is to a patient, and when nothing is said. Percentiles, not BCa: for three equal scores
BCa gives no number, and it covers no better. Of 95 % intervals for 3, 5, 8, 12, 20 patients 75, 83, 85, 88, 94 % held the true
mean by percentiles and 72, 85, 91, 92, 90 % by BCa (`python -m benchmarks.own_parts interval`). Wilcoxon's test, not
`permutation_test` of the mean: one failed case of Dice 0 would rule a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its parts load when they are called: scipy.stats takes most of a second

RESAMPLES, LEVEL, SEED = 2000, 0.95, 0
BATCH = 100  # samples drawn at a time: memory for thousands of cases; the numbers are the same
# Five pairs can at best give p = 2 / 2^5 = 0.0625.
MIN_PAIRS = 6


def bootstrap_interval(
    values: Sequence[float],
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = LEVEL,
    patients: Sequence[str] | None = None,
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean over cases (Efron 1979); None for fewer than two patients.

    Patients are drawn, each with all of its cases (cluster bootstrap, Field & Welsh 2007): slices or time points of one patient
    resemble each other, and drawing them one by one would give an interval that is too narrow. With fewer than about twenty
    patients it still is: it cannot know of patients that were not seen.

    Args:
        values: one a case, finite.
        resamples: number of samples with as many patients, drawn with replacement.
        seed: of the draw; the same values and seed give the same interval.
        level: share of the means that lie within.
        patients: of each value; None: each value is a patient of its own.

    Raises:
        ValueError: `patients` of another length.
    """
    sums, counts = _by_patient(values, patients)
    if len(sums) < 2:
        return None
    found = scipy.stats.bootstrap(
        (sums, counts),
        lambda of, n, axis: of.sum(axis) / n.sum(axis),
        paired=True,  # a patient's sum goes with its number
        method="percentile",
        n_resamples=resamples,
        batch=BATCH,
        confidence_level=level,
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    low, high = sorted((float(found.low), float(found.high)))  # of equal values rounding may turn them
    return low, high


def patient_means(values: Sequence[float], patients: Sequence[str] | None = None) -> list[float]:
    """One mean a patient, in the order in which the patients first appear.

    Raises:
        ValueError: `patients` of another length.
    """
    sums, counts = _by_patient(values, patients)
    return [float(mean) for mean in sums / counts]


def _by_patient(values: Sequence[float], patients: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray]:
    """Sum (P,) and number (P,) of each patient's values, float64."""
    names = [str(i) for i in range(len(values))] if patients is None else list(patients)
    if len(names) != len(values):
        raise ValueError(f"expected a patient for each value, got {len(names)} for {len(values)}")
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    index = np.array([place[name] for name in names], dtype=np.intp)
    sums = np.bincount(index, weights=np.asarray(values, dtype=np.float64), minlength=len(place))
    return sums, np.bincount(index, minlength=len(place)).astype(np.float64)


@dataclass(frozen=True)
class PairedTest:
    """Two-sided Wilcoxon signed-rank test.

    Attributes:
        p: None when it is not given.
        pairs: number of pairs: patients, when each value is a patient's mean.
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
        a, b: the same patients in the same order (`patient_means`): several cases of one patient are no independent pairs.

    Raises:
        ValueError: different lengths.
    """
    if len(a) != len(b):
        raise ValueError(f"expected pairs, got {len(a)} and {len(b)} values")
    difference = np.round(np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64), 9)
    unequal = difference[difference != 0]
    zeros = len(difference) - len(unequal)
    if len(unequal) < MIN_PAIRS:
        return PairedTest(None, len(a), zeros, f"no p: {len(unequal)} of {len(a)} pairs differ, {MIN_PAIRS} needed")
    ties = len(np.unique(np.abs(unequal))) < len(unequal)
    notes = [f"{zeros} of {len(a)} pairs equal, left out"] * bool(zeros) + ["tied differences share their rank"] * ties
    return PairedTest(float(scipy.stats.wilcoxon(unequal).pvalue), len(a), zeros, "; ".join(notes))


def shown_p(p: float) -> str:
    """As a table shows it."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
