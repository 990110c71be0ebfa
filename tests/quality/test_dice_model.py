"""A predicted Dice follows its signals in the right direction, keeps to what was seen, and its interval holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_hybrid.quality.dice_model import conformal_bounds, fit_structure, predicted_dice
from monai_hybrid.quality_schema import SIGNS

ONLY = {"denoising_error": None, "volume_off": None}


def rows(count: int = 60, seed: int = 0, **fixed: Any) -> list[dict[str, Any]]:
    """Masks whose Dice is known from their signals, but for a little noise; six copies a patient."""
    random = np.random.default_rng(seed)
    found = []
    for i in range(count):
        dice = float(random.uniform(0.3, 0.95))
        noise = random.normal(0, 0.03, 4)
        signals = {
            "soft_dice": 0.5 + 0.5 * dice + noise[0], "entropy": 0.6 - 0.5 * dice + noise[1],
            "agreement_noise": dice + noise[2], "agreement_flip": dice + noise[3], **ONLY, **fixed,
        }  # fmt: skip
        found.append({"patient": f"p{i % 10}", "dice": dice, "signals": signals})
    return found


def test_a_known_relation_is_found_and_covered() -> None:
    entry = {"dice": {"disc": fit_structure(rows())}}
    assert [model["signals"] for model in entry["dice"]["disc"]] == [
        ["soft_dice", "entropy", "agreement_noise", "agreement_flip"],
        ["soft_dice", "entropy"],
    ]
    told = [(row["dice"], predicted_dice(entry, "disc", row["signals"])) for row in rows(200, seed=1)]
    assert np.mean([abs(dice - said[0]) for dice, said in told if said]) < 0.03
    covered = np.mean([said[1] <= dice <= said[2] for dice, said in told if said])
    assert 0.8 <= covered <= 0.99, covered


@settings(max_examples=8)
@given(seed=st.integers(0, 50), name=st.sampled_from(["soft_dice", "entropy", "agreement_noise", "agreement_flip"]))
def test_no_signal_counts_against_its_meaning(seed: int, name: str) -> None:
    random = np.random.default_rng(seed)
    made = [{**row, "dice": float(random.uniform())} for row in rows(20, seed)]  # signals that tell nothing
    entry = {"dice": {"disc": fit_structure(made)}}
    low, high = ({**made[0]["signals"], name: value} for value in (0.0, 1.0))
    first, second = (predicted_dice(entry, "disc", signals) for signals in (low, high))
    assert first is not None and second is not None and (second[0] - first[0]) * SIGNS[name] >= 0


def test_signals_beyond_all_seen_ones_are_not_extrapolated() -> None:
    entry = {"dice": {"disc": fit_structure(rows())}}
    best = {name: 1.0 if sign > 0 else 0.0 for name, sign in SIGNS.items()}
    at_the_edge = predicted_dice(entry, "disc", {**best, "agreement_flip": 5.0})
    assert predicted_dice(entry, "disc", {**best, "agreement_flip": 50.0}) == at_the_edge
    assert at_the_edge is not None and 0 <= at_the_edge[1] <= at_the_edge[0] <= at_the_edge[2] <= 1


def test_a_case_without_agreement_takes_the_shorter_line_and_one_without_any_none() -> None:
    entry = {"dice": {"disc": fit_structure(rows())}}
    signals = {"soft_dice": 0.9, "entropy": 0.2, "agreement_noise": None, "agreement_flip": None}
    assert predicted_dice(entry, "disc", signals) is not None
    assert predicted_dice(entry, "disc", {}) is None and predicted_dice(entry, "ring", signals) is None
    assert predicted_dice(None, "disc", signals) is None and predicted_dice({}, "disc", signals) is None


@pytest.mark.parametrize(("patients", "fits"), [(2, False), (3, True)])
def test_few_patients_fit_nothing(patients: int, fits: bool) -> None:
    made = [{**row, "patient": f"p{i % patients}"} for i, row in enumerate(rows(40))]
    assert bool(fit_structure(made)) is fits


def test_conformal_ranks() -> None:
    scores = np.arange(1.0, 20.0)  # 19 of them: the first and the last leave 5 % beyond each
    assert conformal_bounds(scores) == (1.0, 19.0)
    assert conformal_bounds(np.arange(1.0, 40.0)) == (2.0, 38.0)
    assert conformal_bounds(np.array([0.5])) == (0.5, 0.5)
