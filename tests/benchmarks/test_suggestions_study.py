"""The study of suggested scans: pools without patients of the test, the same pool for all orders, and differences in pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.suggestions import CHOOSING, against_random, choices, divided, interval, key, table
from monai_hybrid.suggesting.seen import Seen

CASES = {
    f"p{patient}_s{i}": {"case_id": f"p{patient}_s{i}", "patient": f"p{patient}"} for patient in range(6) for i in range(2)
}


def test_no_patient_is_in_pool_and_test_and_repetitions_differ() -> None:
    divisions = [divided(CASES, 4, repetition) for repetition in range(5)]
    for pool, test in divisions:
        assert len(pool) == 8 and len(test) == 4 and {name[:2] for name in pool}.isdisjoint(name[:2] for name in test)
    assert len({tuple(pool) for pool, _ in divisions}) > 1 and divided(CASES, 4, 3) == divisions[3]


def test_every_order_chooses_from_the_same_pool_and_random_several_times() -> None:
    random = np.random.default_rng(0)
    seen = [Seen(f"c{i}", "", random.normal(size=4), float(i), float(-i)) for i in range(8)]
    found = choices(seen, 3, 2, 0)
    without_dice = [order for order in CHOOSING if order != "dice"]  # the model predicts none
    assert [order for order, _ in found] == [*without_dice, "random", "random"]
    predicted = choices([replace(one, dice=0.1 * i) for i, one in enumerate(seen)], 3, 2, 0)
    assert [order for order, _ in predicted] == [*CHOOSING, "random", "random"] and dict(predicted)["dice"] == [
        "c0",
        "c1",
        "c2",
    ]
    chosen = dict(found)
    assert chosen["entropy"] == ["c5", "c6", "c7"] and chosen["error"] == ["c0", "c1", "c2"]
    assert all(len(set(names)) == 3 for _, names in found) and found[-1] != found[-2]
    assert found == choices(seen, 3, 2, 0) and found[-2:] != choices(seen, 3, 2, 1)[-2:]


def test_differences_are_to_the_random_draws_of_the_same_repetition() -> None:
    rows = [
        {"order": order, "labels": 1, "repetition": repetition, "dice": base + plus, "chosen": [order]}
        for repetition, base in ((0, 0.2), (1, 0.8))
        for order, plus in (("typical", 0.1), ("random", 0.02), ("random", -0.02))
    ]
    assert against_random(rows, "typical", 1) == pytest.approx([0.1, 0.1]) and against_random(rows, "spread", 1) == []
    lines = table(rows).splitlines()
    assert lines[0] == "| order | 1 label | against random [95 %] |" and lines[2] == "| random | 0.500 |  |"
    assert lines[3] == "| typical | 0.600 | +0.100 [+0.100, +0.100] |" and lines[4] == "| spread | - |  |"
    assert key(rows[0]) == (0, ("typical",)) != key(rows[3])


def test_the_interval_is_students() -> None:
    low, high = interval([0.0, 1.0, 2.0]) or (0, 0)
    assert (low, high) == pytest.approx((1 - 4.3027 / 3**0.5, 1 + 4.3027 / 3**0.5), abs=1e-3) and interval([1.0]) is None
