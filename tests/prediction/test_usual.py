"""A case alone is compared with what the model's card says is usual; a card of before, and a usual case, say nothing."""

from __future__ import annotations

from typing import Any

import pytest

from data_prep.amounts import amount
from data_prep.evenly import spread
from monai_hybrid.bundle.reference import joined, label_volumes
from monai_hybrid.prediction.flags import flag_rows, own_flags

REFERENCE: dict[str, Any] = {
    "volumes": {"unit": "ml", "structures": {"left ventricle": {"min": 2.0, "max": 6.0, "cases": 3}}},
    "scores": {"split": "validation", "entropy_foreground": [0.10, 0.20], "denoising_error": [0.5]},
}
USUAL = {"entropy_foreground": 0.2, "denoising_error": 0.6}


@pytest.mark.parametrize(
    ("volume", "scores", "flag"),
    [
        (0.9, USUAL, "little Left_Ventricle: 0.9 ml, expected 1 to 12 (3 training labels: 2 to 6)"),
        (12.5, USUAL, "much Left_Ventricle: 12.5 ml, expected 1 to 12 (3 training labels: 2 to 6)"),
        (0.0, USUAL, "no Left_Ventricle found (expected Left_Ventricle 1 to 12 ml)"),
        (
            4.0,
            {"entropy_foreground": 0.4, "denoising_error": None},
            "unsure over the foreground (entropy_foreground 0.4, expected at most 0.32, "
            "2 validation cases of the model: up to 0.2)",
        ),
        (
            4.0,
            {"entropy_foreground": None, "denoising_error": 0.9},
            "unlike the images the model knows (denoising_error 0.9, expected at most 0.77, "
            "1 validation case of the model: up to 0.5)",
        ),
    ],
)
def test_an_unusual_case_is_flagged_alone(volume: float, scores: dict[str, float | None], flag: str) -> None:
    assert own_flags({"Left_Ventricle": volume}, "", "ml", REFERENCE, scores) == flag
    rows = [{"status": "done", "flag": flag, "entropy_foreground": "-", "denoising_error": "-"}]
    flag_rows(rows)
    assert rows[0]["flag"] == flag


@pytest.mark.parametrize("volume", [1.0, 2.0, 6.0, 12.0])
def test_a_usual_case_is_not_flagged(volume: float) -> None:
    assert own_flags({"Left_Ventricle": volume}, "", "ml", REFERENCE, USUAL) == ""


@pytest.mark.parametrize(
    "reference",
    [
        None,
        {},
        {"volumes": {}, "scores": None},
        {"volumes": {"unit": "mm2", "structures": {"a": {"min": 1, "max": 2, "cases": 3}}}},
        {"volumes": {"unit": "ml", "structures": {"b": {"min": 1, "max": 2, "cases": 3}}}},
        {"volumes": {"unit": "ml", "structures": {"a": {"min": "x", "max": None, "cases": 0}}}},
        {"volumes": {"unit": "ml", "structures": {"a": [1, 2]}}, "scores": {"split": "x", "entropy_foreground": [0.1]}},
        {"volumes": [1], "scores": {"split": "training", "entropy_foreground": "0.1"}},
        {"scores": {"split": "training", "entropy_foreground": [None, "a", float("nan")]}},
        ["a"],
    ],
)
def test_a_card_that_says_nothing_of_use_flags_nothing(reference: Any) -> None:
    assert own_flags({"a": 99.0}, "", "ml", reference, {"entropy_foreground": 0.9, "denoising_error": 3.0}) == ""
    assert own_flags({"a": 0.0}, "D405: odd", "ml", reference, USUAL) == "no a found; D405: odd"


def test_the_more_labels_the_narrower_the_range() -> None:
    def flagged(labels: int) -> bool:
        entry = {"min": 2.0, "max": 6.0, "cases": labels}
        return bool(own_flags({"a": 9.0}, "", "ml", {"volumes": {"unit": "ml", "structures": {"a": entry}}}))

    assert [flagged(labels) for labels in (1, 3, 30, 300)] == [False, False, True, True]


def dataset(dims: int = 3, known: bool = True) -> dict[str, Any]:
    voxels = [{"0": 90, "1": 10, "7": 5}, {"0": 90, "1": 20}, {"0": 90, "1": 99}]
    cases = [{"case_id": f"c{i}", "spacing": [2.0] * dims, "voxels": v} for i, v in enumerate(voxels)]
    labels = [{"index": i, "value": v, "name": n} for i, (v, n) in enumerate([(0, "background"), (1, "a"), (7, "b"), (9, "c")])]
    return {"spatial_dims": dims, "labels": labels, "cases": cases, "fingerprint": {"spacing_known": known}}


@pytest.mark.parametrize(
    ("dims", "known", "unit", "voxel"),
    [(3, True, "ml", 0.008), (3, False, "voxels", 1), (2, True, "mm2", 4), (2, False, "pixels", 1)],
)
def test_volumes_are_those_of_the_cases_trained_on_in_the_unit_of_the_table(
    dims: int, known: bool, unit: str, voxel: float
) -> None:
    training = [{"case_id": "c0", "label": "l"}, {"case_id": "c1", "label": "l"}, {"case_id": "c2"}]
    found = label_volumes(dataset(dims, known), training)
    assert found["unit"] == unit
    assert found["structures"] == {
        "a": {"min": pytest.approx(10 * voxel), "max": pytest.approx(20 * voxel), "cases": 2},
        "b": {"min": pytest.approx(5 * voxel), "max": pytest.approx(5 * voxel), "cases": 1},
    }


def test_the_reference_of_the_model_that_was_adapted_still_counts() -> None:
    own = {
        "unit": "ml",
        "structures": {"Left ventricle": {"min": 3.0, "max": 4.0, "cases": 2}, "b": {"min": 1.0, "max": 1.0, "cases": 1}},
    }
    before = {"unit": "ml", "structures": {"left_ventricle": {"min": 2.0, "max": 3.5, "cases": 10}}}
    assert joined(own, before)["structures"]["Left ventricle"] == {"min": 2.0, "max": 4.0, "cases": 12, "earlier": 10}
    assert joined(own, before)["structures"]["b"] == own["structures"]["b"]
    assert joined(own, {**before, "unit": "voxels"}) == own and joined(own, None) == own
    many = {"unit": "ml", "structures": {"Left ventricle": {"min": 3.0, "max": 4.0, "cases": 10}}}
    assert joined(many, before) == many


def test_a_flag_says_whose_labels_the_range_is_of_and_writes_no_powers_of_ten() -> None:
    structures = {"lung": {"min": 20_000.0, "max": 90_000.0, "cases": 12, "earlier": 9}}
    reference = {"volumes": {"unit": "mm2", "structures": structures}}
    source = "12 training labels, 9 of them before the adaptation: 20,000 to 90,000"
    told = f"little lung: 12,300 mm2, expected 16,000 to 112,500 ({source})"
    assert own_flags({"lung": 12_300.4}, "", "mm2", reference) == told
    assert amount(0.00003) == "0.00003" and amount(1941) == "1941" and amount(float("nan")) == "nan"


def test_few_cases_are_spread_over_the_list() -> None:
    assert spread(list(range(9)), 3) == [0, 4, 8] and spread([1, 2], 3) == [1, 2]
