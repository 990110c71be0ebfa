"""The numbers of dataset.json, against values worked out by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data_prep.cases import Case
from data_prep.examine import CaseRecord
from data_prep.fingerprint import UNITS, fingerprint, intensity, ranges, volumes


def test_percentiles_are_0_5_and_50_and_99_5() -> None:
    values = np.arange(1001, dtype=np.int16)
    assert intensity(values) == {"p00_5": 5, "p50": 500, "p99_5": 995, "mean": 500, "std": pytest.approx(288.964, abs=1e-3)}


def test_grey_values_are_summed_in_double_precision() -> None:
    """A hundred thousand values of 16 bits: their sum in 16 or 32 bits would run over."""
    assert intensity(np.full(100_000, 60_000, dtype=np.uint16)) == {
        "p00_5": 6e4,
        "p50": 6e4,
        "p99_5": 6e4,
        "mean": 6e4,
        "std": 0,
    }
    skewed = intensity(np.array([0] * 990 + [1000] * 10, dtype=np.float32))
    assert (skewed["p50"], skewed["p99_5"], skewed["mean"]) == (0, 1000, 10)


def test_ranges_are_taken_axis_by_axis() -> None:
    rows = [(1.0, 2.0, 9.0), (3.0, 0.5, 9.0), (1.5, 1.0, 9.00004)]
    assert ranges(rows) == {"min": [1, 0.5, 9], "median": [1.5, 1, 9], "max": [3, 2, 9]}
    assert ranges([(1.0, 4.0), (2.0, 4.0)])["median"] == [1.5, 4]


def record(voxels: dict[int, int], spacing: tuple[float, ...], known: bool = True) -> Any:
    return SimpleNamespace(voxels=voxels, spacing=spacing, spacing_known=known, spatial_dims=len(spacing), ignored=0)


@pytest.mark.parametrize(
    ("spacing", "known", "unit"),
    [((1.0, 2.0, 5.0), True, 0.01), ((1.0, 1.0, 1.0), False, 1), ((0.5, 2.0), True, 1), ((0.5, 0.5), True, 0.25)],
)
def test_volumes_of_the_cases_that_hold_the_class(spacing: tuple[float, ...], known: bool, unit: float) -> None:
    """ml in 3D where mm are known, mm^2 or voxels elsewhere; 0 voxels in a case do not count as a case."""
    records = [record({1: n, 2: 7}, spacing, known) for n in (100, 400, 200)] + [record({2: 7}, spacing, known)]
    assert volumes(records, 1) == {
        "min": pytest.approx(100 * unit),
        "median": pytest.approx(200 * unit),
        "max": pytest.approx(400 * unit),
    }
    assert volumes(records, 3) == {"min": 0, "median": 0, "max": 0}


LABELS: list[dict[str, int | str]] = [
    {"index": 0, "value": 0, "name": "background"},
    {"index": 1, "value": 1, "name": "liver"},
]


def case(known: bool = True, split: str = "training", edge: int = 8, voxels: int = 100) -> CaseRecord:
    grey, size, spacing = (np.arange(10, dtype=np.float32),), (edge,) * 3, (1.0, 1.0, 2.0)
    return CaseRecord(
        case=Case("a", (Path("a.nii"),), None, split=split),
        shape=size, ras_shape=size, spacing=spacing, ras_spacing=spacing, spacing_known=known, orientation="RAS",
        voxels={1: voxels}, samples=grey, foreground=grey, digests=(),
    )  # fmt: skip


def test_one_file_without_mm_makes_the_data_set_one_without() -> None:
    for known in ((True, True), (True, False), (False, True)):
        found = fingerprint([case(k) for k in known], LABELS)
        assert found["spacing_known"] is all(known)
        assert found["foreground_volume_unit"] == ("ml" if all(known) else "voxels")
    assert UNITS == {(3, True): "ml", (2, True): "mm^2", (2, False): "pixels", (3, False): "voxels"}


def test_only_training_cases_are_described_and_all_are_counted() -> None:
    found = fingerprint([case(), case(), case(split="testing", edge=99, voxels=9999)], LABELS)
    assert found["num_cases"] == {"training": 2, "validation": 0, "testing": 1} and found["orientations"] == {"RAS": 2}
    assert found["shape"]["max"] == [8, 8, 8] and found["foreground_volume"]["liver"]["max"] == pytest.approx(0.2)
    assert found["label_cases"] == {"liver": 3}
