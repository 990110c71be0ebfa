"""The plan: spacing, patch and network from the numbers of a data set."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import ConfigError
from data_prep.plan import BUDGETS, coarsened, covering, make_plan, shrunk


def dataset(shape: list[float], spacing: list[float], known: bool = True, modality: str = "MRI") -> dict[str, Any]:
    """The part of dataset.json that the plan reads."""
    foreground = [{"p00_5": -50.0, "p50": 40.0, "p99_5": 200.0, "mean": 50.0, "std": 30.0}]
    return {
        "spatial_dims": len(shape),
        "modality": modality,
        "fingerprint": {
            "spacing": {"median": spacing},
            "spacing_known": known,
            "shape": {"median": shape},
            "foreground_intensity": foreground,
        },
    }


def test_small_field_of_view_fits_in_one_patch():
    plan = make_plan(dataset([35, 50, 36], [1, 1, 1]))
    assert plan["spacing"] == [1.25, 1.25, 1.25] and plan["patch_size"] == [28, 40, 32]
    assert all(size * step >= edge for size, step, edge in zip(plan["patch_size"], plan["spacing"], [35, 50, 36], strict=True))
    assert any("holds a whole case" in reason for reason in plan["reasons"])


def test_coarse_data_keep_their_spacing():
    plan = make_plan(dataset([22, 30, 22], [2, 2, 2]))
    assert plan["spacing"] == [2, 2, 2] and plan["patch_size"] == [24, 32, 24]


def test_2d_without_spacing_counts_in_pixels():
    plan = make_plan(dataset([256, 256], [1, 1], known=False))
    assert plan["patch_size"] == [96, 96] and plan["spacing"] == [2.67, 2.67]
    assert make_plan(dataset([256, 256], [1, 1], known=False), "gpu")["patch_size"] == [256, 256]


def test_whole_head_on_cpu_sees_half_of_each_axis():
    plan = make_plan(dataset([90, 120, 120], [2, 2, 2]))
    assert plan["patch_size"] == [40, 40, 40] and plan["spacing"] == [3, 3, 3]


def test_gpu_keeps_the_spacing():
    plan = make_plan(dataset([90, 120, 120], [2, 2, 2]), "gpu")
    assert plan["spacing"] == [2, 2, 2] and math.prod(plan["patch_size"]) <= 96**3 and plan["batch_size"] == 2


def test_thick_slices_are_not_made_thicker():
    assert coarsened((0.5, 0.5, 7.5), 2) == (1, 1, 7.5)
    assert make_plan(dataset([320, 320, 11], [0.5, 0.5, 7.5]))["spacing"][2] == 7.5


def test_ct_window():
    normalization = make_plan(dataset([60, 60, 60], [3, 3, 3], modality="CT"))["normalization"]
    assert normalization == {"method": "window", "lower": -50, "upper": 200, "range": [-1, 1]}
    assert make_plan(dataset([60, 60, 60], [3, 3, 3]))["normalization"]["method"] == "percentiles"


def test_asked_spacing_wins():
    assert make_plan(dataset([35, 50, 36], [1, 1, 1]), spacing=(2, 2, 2))["patch_size"] == [20, 28, 20]


@pytest.mark.parametrize("spacing", [(2, 2), (2, 2, 0), (2, 2, -1), (2, 2, float("nan"))])
def test_bad_spacing_is_refused(spacing):
    with pytest.raises(ConfigError, match=r'expected 3 numbers above 0\. Type: --spacing "2,2,2"'):
        make_plan(dataset([35, 50, 36], [1, 1, 1]), spacing=spacing)


def test_unknown_budget():
    with pytest.raises(ConfigError, match="--budget tpu: unknown; expected cpu or gpu"):
        make_plan(dataset([35, 50, 36], [1, 1, 1]), "tpu")


@given(
    budget=st.sampled_from(["cpu", "gpu"]),
    axes=st.lists(st.tuples(st.integers(1, 600), st.floats(0.2, 8)), min_size=2, max_size=3),
)
def test_every_plan_is_affordable_and_divisible(budget, axes):
    shape, spacing = [size for size, _ in axes], [edge for _, edge in axes]
    limits = BUDGETS[budget, len(shape)]
    plan = make_plan(dataset(shape, spacing), budget)
    network = plan["network"]
    assert all(size % limits.multiple == 0 and size > 0 for size in plan["patch_size"])
    assert math.prod(plan["patch_size"]) <= limits.patch_voxels
    assert all(step >= edge - 1e-4 for step, edge in zip(plan["spacing"], spacing, strict=True))
    assert network["channels"][-1] % network["num_head_channels"] == 0
    assert all(width % network["norm_num_groups"] == 0 for width in network["channels"])
    assert len(network["channels"]) == len(network["num_res_blocks"]) == len(network["attention_levels"])


def test_covering_rounds_up_and_shrunk_cuts_the_longest_side():
    assert covering((35.0, 50.0, 36.0), (1.0, 1.0, 1.0), 4) == (36, 52, 36)
    assert shrunk((36, 52, 36), (1.0, 1.0, 1.0), 36**3, 4) == (36, 36, 36)
