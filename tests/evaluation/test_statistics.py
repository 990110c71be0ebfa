"""Intervals and paired tests: against scipy, against enumeration, and what they refuse to say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_hybrid.evaluation.statistics import bootstrap_interval, paired_test, patient_means

VALUES = [0.91, 0.85, 0.88, 0.0, 0.79, 0.93, 0.87, 0.9, 0.82, 0.86]


def test_the_interval_is_reproducible_and_contains_the_mean() -> None:
    interval = bootstrap_interval(VALUES)
    assert interval is not None and interval[0] < np.mean(VALUES) < interval[1]
    assert interval == bootstrap_interval(VALUES) != bootstrap_interval(VALUES, seed=1)


def test_the_interval_is_that_of_scipy() -> None:
    interval = bootstrap_interval(VALUES, resamples=9999)
    theirs = scipy.stats.bootstrap((VALUES,), np.mean, n_resamples=9999, method="percentile", rng=np.random.default_rng(5))
    assert interval == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    """40 normal values, 300 times: 95 % less the known shortfall of the percentile bootstrap."""
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(rng.normal(size=40), resamples=300) for _ in range(300)]
    assert 0.90 <= np.mean([low <= 0 <= high for low, high in intervals if low is not None]) <= 0.98


@settings(max_examples=30)
@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_the_interval_stays_within_the_values(values: list[float]) -> None:
    interval = bootstrap_interval(values, resamples=200)
    assert interval is not None
    assert min(values) - 1e-12 <= interval[0] <= interval[1] <= max(values) + 1e-12


def test_the_ends_of_an_interval_of_equal_values_are_in_order() -> None:
    low, high = bootstrap_interval([0.35500405542206265] * 2, resamples=200) or (1.0, 0.0)
    assert low <= high


def test_one_case_has_no_interval() -> None:
    assert bootstrap_interval([0.9]) is None and bootstrap_interval([]) is None
    assert bootstrap_interval([0.9, 0.8]) is not None


def test_patients_are_drawn_with_all_of_their_cases() -> None:
    """Seeing each patient ten times teaches nothing new: the interval is that of the ten patients, not that of 100 cases."""
    patients = [f"p{i}" for i in range(len(VALUES))]
    repeated, owners = [v for v in VALUES for _ in range(10)], [p for p in patients for _ in range(10)]
    assert bootstrap_interval(repeated, patients=owners) == pytest.approx(bootstrap_interval(VALUES))
    as_cases, by_patient = bootstrap_interval(repeated), bootstrap_interval(repeated, patients=owners)
    assert as_cases is not None and by_patient is not None
    assert as_cases[1] - as_cases[0] < 0.5 * (by_patient[1] - by_patient[0])
    assert bootstrap_interval(VALUES, patients=patients) == bootstrap_interval(VALUES)


def test_patients_with_more_cases_weigh_more_in_the_interval_as_in_the_mean() -> None:
    """Two patients, A with three cases of 1 and B with one of 0: the means can be 0, 3/4 or 1."""
    assert bootstrap_interval([1, 1, 1, 0], patients=["A", "A", "A", "B"]) == (0, 1)
    assert bootstrap_interval([1, 1, 1, 0], patients=["A"] * 4) is None
    with pytest.raises(ValueError, match="expected a patient for each value, got 1 for 4"):
        bootstrap_interval([1, 1, 1, 0], patients=["A"])


def test_each_resample_is_the_mean_over_the_cases_drawn() -> None:
    """Of the same two patients half the draws hold both: the mean of their cases is 3/4, that of their means would be 1/2."""
    values, patients = [1, 1, 1, 0], ["A", "A", "A", "B"]
    assert bootstrap_interval(values, patients=patients, level=0.25) == (0.75, 0.75)
    assert bootstrap_interval([1, 0], patients=["A", "B"], level=0.25) == (0.5, 0.5)
    assert bootstrap_interval([1, 0], level=0.4) == (0.5, 0.5) and bootstrap_interval([1, 0], level=0.6) == (0, 1)


def test_the_level_is_the_share_of_the_means_within() -> None:
    """One large value in ten: the mean is a binomial count, whose quantiles are known."""
    values = [0.0] * 90 + [1.0] * 10
    for level in (0.5, 0.8, 0.95):
        interval = bootstrap_interval(values, level=level)
        expected = scipy.stats.binom.ppf([(1 - level) / 2, (1 + level) / 2], 100, 0.1) / 100
        assert interval == pytest.approx(tuple(expected), abs=0.011)


def test_the_means_of_patients_are_in_the_order_of_their_first_case() -> None:
    assert patient_means([0.2, 1.0, 0.4], ["b", "a", "b"]) == pytest.approx([0.3, 1.0])
    assert patient_means([0.2, 1.0, 0.4]) == [0.2, 1.0, 0.4]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_cluster_interval_covers_where_that_over_cases_does_not(seed: int) -> None:
    """30 patients of 8 cases, most of the spread between patients; the true mean is 0."""
    rng = np.random.default_rng(seed)
    owners = [f"p{i}" for i in range(30) for _ in range(8)]
    hits = {True: 0, False: 0}
    for _ in range(120):
        values = (np.repeat(rng.normal(size=30), 8) + 0.3 * rng.normal(size=240)).tolist()
        for by_patient in hits:
            interval = bootstrap_interval(values, resamples=200, patients=owners if by_patient else None)
            assert interval is not None
            hits[by_patient] += interval[0] <= 0 <= interval[1]
    assert hits[True] / 120 > 0.88 and hits[False] / 120 < 0.7


def test_a_paired_test_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(20), rng.random(20) + 0.2
    test = paired_test(a.tolist(), b.tolist())
    assert test.p == pytest.approx(scipy.stats.wilcoxon(b, a).pvalue) and (test.pairs, test.zeros, test.note) == (20, 0, "")


def test_p_is_the_share_of_sign_patterns_at_least_as_extreme() -> None:
    """All 2^8 sign patterns of the ranks: the exact distribution, without scipy."""
    b = [0.3, -0.1, 0.5, 0.25, 0.7, -0.05, 0.4, 0.6]
    ranks = scipy.stats.rankdata(np.abs(b))
    seen = abs(np.sum(np.sign(b) * ranks))
    patterns = [abs(np.dot(signs, ranks)) for signs in itertools.product((-1, 1), repeat=8)]
    assert paired_test([0.0] * 8, b).p == pytest.approx(np.mean([s >= seen for s in patterns]))


def test_six_pairs_get_a_p_and_five_do_not() -> None:
    b = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert paired_test([0.0] * 6, b).p == pytest.approx(2 / 2**6)
    refused = paired_test([0.0] * 5, b[:5])
    assert refused.p is None and refused.note == "no p: 5 of 5 pairs differ, 6 needed"


def test_equal_pairs_are_left_out_and_said() -> None:
    b = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.0, 1e-12]
    test = paired_test([0.0] * 8, b)
    assert (test.p, test.zeros) == (pytest.approx(2 / 2**6), 2)
    assert test.note == "2 of 8 pairs equal, left out"
    refused = paired_test([0.5] * 30, [0.5] * 30)
    assert refused.p is None and refused.note == "no p: 0 of 30 pairs differ, 6 needed"


def test_ties_are_said() -> None:
    test = paired_test([0.0] * 8, [0.1, 0.1, 0.2, 0.3, 0.4, 0.5, -0.6, 0.7])
    assert test.note == "tied differences share their rank"
    assert test.p is not None and 0 < test.p < 1 and math.isfinite(test.p)


def test_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="expected pairs, got 1 and 2 values"):
        paired_test([0.0], [0.0, 1.0])
