"""The parts of a plan, against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from data_prep.errors import ConfigError
from data_prep.plan import BUDGETS, GPU_SMALL_BATCH, checked_spacing, coarsened, covering, make_plan, shrunk


@pytest.mark.parametrize(
    ("extent", "spacing", "multiple", "expected"),
    [
        ((36.0, 40.0), (1.0, 1.0), 4, (36, 40)),
        ((36.001, 39.0), (1.0, 1.0), 4, (40, 40)),
        ((36.0004, 36.0), (1.0, 3.0), 4, (36, 12)),  # rounding of a spacing's digits is no voxel
        ((37.0, 18.6, 1.0), (0.5, 1.5, 7.5), 8, (80, 16, 8)),
        ((0.2, 0.2), (1.0, 1.0), 8, (8, 8)),
    ],
)
def test_a_covering_patch_is_the_smallest_multiple(extent, spacing, multiple, expected) -> None:
    assert covering(extent, spacing, multiple) == expected


@pytest.mark.parametrize(
    ("patch", "spacing", "voxels", "expected"),
    [
        ((40, 40), (1.0, 2.0), 1600, (40, 40)),
        ((40, 40), (1.0, 2.0), 1599, (40, 32)),
        ((40, 40), (1.0, 2.0), 639, (32, 16)),  # 80 mm against 40, 64, 48, then 32 against 40
        ((40, 16), (1.0, 0.5), 320, (16, 16)),
        ((8, 8), (1.0, 1.0), 10, (8, 8)),
        ((8, 24), (9.0, 1.0), 70, (8, 8)),
    ],
)
def test_a_patch_is_cut_where_it_is_longest_in_mm(patch, spacing, voxels, expected) -> None:
    assert shrunk(patch, spacing, voxels, 8) == expected


def test_coarsening_brings_fine_axes_to_one_edge() -> None:
    assert coarsened((0.5, 0.7, 3.0), 1) == (0.5, 0.7, 3.0)
    assert coarsened((0.5, 0.7, 3.0), 1.2) == (0.6, 0.7, 3.0)
    assert coarsened((0.5, 0.7, 3.0), 8) == (4.0, 4.0, 4.0)
    assert coarsened((1 / 3, 1.0), 1) == (0.3333, 1.0)


def test_spacings_that_can_be_asked_for() -> None:
    assert checked_spacing((2, 0.001), 2) == (2.0, 0.001)
    for wrong in ((0, 1), (-1, 1), (math.inf, 1), (math.nan, 1), (1,), (1, 1, 1)):
        with pytest.raises(ConfigError, match=r'expected 2 numbers above 0\. Type: --spacing "2,2"'):
            checked_spacing(wrong, 2)


def plan_of(shape: list[float], spacing: list[float], budget: str, asked: bool = True) -> dict:
    fingerprint = {
        "spacing": {"median": spacing},
        "spacing_known": True,
        "shape": {"median": shape},
        "foreground_intensity": [],
    }
    return make_plan(
        {"spatial_dims": len(shape), "modality": "MRI", "fingerprint": fingerprint}, budget, spacing if asked else None
    )


def test_a_large_patch_in_a_small_batch() -> None:
    assert plan_of([64, 64, 64], [1, 1, 1], "gpu")["batch_size"] == BUDGETS["gpu", 3].batch_size == 8
    assert plan_of([72, 64, 64], [1, 1, 1], "gpu")["batch_size"] == GPU_SMALL_BATCH == 2
    assert plan_of([256, 256], [1, 1], "gpu")["batch_size"] == 32
    assert plan_of([40, 40, 40], [1, 1, 1], "cpu")["batch_size"] == 8


@pytest.mark.parametrize(("key", "multiple"), [(("cpu", 3), 4), (("cpu", 2), 8), (("gpu", 3), 8), (("gpu", 2), 8)])
def test_edges_divide_by_what_the_levels_halve(key: tuple[str, int], multiple: int) -> None:
    assert BUDGETS[key].multiple == multiple == 2 ** (len(BUDGETS[key].channels) - 1)


def test_what_every_plan_says() -> None:
    volumes, pictures = plan_of([32, 40, 32], [1, 1, 1], "cpu"), plan_of([90, 90], [1, 1], "cpu")
    assert volumes["orientation"] == "RAS" and pictures["orientation"] is None
    assert "axes in RAS order" in volumes["reasons"][0] and "axes in the order of the file" in pictures["reasons"][0]
    for plan in (volumes, pictures):
        levels = len(plan["network"]["channels"])
        assert plan["network"]["attention_levels"] == [False] * levels and plan["network"]["num_res_blocks"] == [1] * levels


@pytest.mark.parametrize(
    ("shape", "edge", "budget", "reason"),
    [
        ([22, 30, 22], 2, "cpu", "the median of the training cases; one patch holds a whole case"),
        ([35, 50, 36], 1, "cpu", "coarser than the median 1 x 1 x 1, equally on all fine axes"),
        ([150, 150, 150], 1, "gpu", "Spacing 1 x 1 x 1: the median of the training cases."),
        ([90, 120, 120], 2, "cpu", "coarser than the median 2 x 2 x 2, so that a patch"),
    ],
)
def test_the_reason_for_a_spacing(shape: list[float], edge: float, budget: str, reason: str) -> None:
    said = plan_of(shape, [edge] * 3, budget, asked=False)["reasons"]
    assert any(reason in sentence for sentence in said), said
