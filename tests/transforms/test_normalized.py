"""Intensities in [-1, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor

from monai_hybrid.errors import ConfigError
from monai_hybrid.transforms import Normalized

PERCENTILES = {"method": "percentiles", "lower": 0.5, "upper": 99.5}
WINDOW = {"method": "window", "lower": -100, "upper": 300}


def normalized(image: Any, normalization: dict[str, Any]) -> Any:
    return Normalized("image", normalization)({"image": image, "case_id": "a"})["image"]


def test_a_window_is_linear_and_clips() -> None:
    image = torch.tensor([[[-1000.0, -100.0, 0.0, 100.0, 300.0, 3000.0]]])
    assert normalized(image, WINDOW).flatten().tolist() == pytest.approx([-1, -1, -0.5, 0, 1, 1])


def test_a_window_takes_integers() -> None:
    out = normalized(np.array([[[-1000, 0, 300]]], dtype=np.int16), WINDOW)
    assert out.dtype == torch.float32 and out.flatten().tolist() == pytest.approx([-1, -0.5, 1])


def test_percentiles_are_those_of_each_channel() -> None:
    image = torch.rand(2, 30, 30, generator=torch.Generator().manual_seed(0))
    image[1] = image[1] * 1000 + 500
    out = normalized(image, {"method": "percentiles", "lower": 10, "upper": 90})
    for before, after in zip(image.numpy(), out.numpy(), strict=True):
        low, high = np.percentile(before, [10, 90])
        assert np.allclose(after, np.clip((before - low) / (high - low) * 2 - 1, -1, 1), atol=1e-4)


@settings(max_examples=30)
@given(scale=st.floats(0.1, 1000), shift=st.floats(-500, 500), seed=st.integers(0, 100))
def test_percentiles_do_not_depend_on_the_unit(scale: float, shift: float, seed: int) -> None:
    image = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert torch.allclose(normalized(image, PERCENTILES), normalized(image * scale + shift, PERCENTILES), atol=1e-3)


@pytest.mark.filterwarnings("error:Divide by zero")
@settings(max_examples=60)
@given(
    values=st.lists(st.floats(-3000, 3000, width=32), min_size=4, max_size=12),
    ground=st.integers(0, 2000),
    normalization=st.sampled_from([PERCENTILES, WINDOW]),
)
def test_the_result_lies_in_the_range_whatever_the_image(
    values: list[float], ground: int, normalization: dict[str, Any]
) -> None:
    image = torch.cat([torch.tensor(values), torch.full((ground,), values[0])]).view(1, 1, -1)
    out = normalized(image, normalization)
    assert out.dtype == torch.float32 and out.isfinite().all()
    assert out.min() >= -1 and out.max() <= 1


@pytest.mark.filterwarnings("error:Divide by zero")
def test_a_few_bright_voxels_on_much_ground_stay_in_the_range() -> None:
    """Both percentiles are the ground's value."""
    image = torch.zeros(1, 50, 50)
    image[0, 0, :5] = torch.tensor([-9.0, 0.5, 1.0, 9.0, 900.0])
    assert normalized(image, PERCENTILES)[0, 0, :6].tolist() == pytest.approx([-1, -0.5, 0, 1, 1, -1])


@pytest.mark.filterwarnings("error:Divide by zero")
def test_a_constant_image_becomes_ground() -> None:
    assert (normalized(torch.full((1, 4, 4), 7.0), PERCENTILES) == -1).all()


def test_metadata_and_other_entries_stay() -> None:
    image = MetaTensor(torch.rand(1, 4, 4), affine=np.diag([2.0, 3.0, 1.0, 1.0]))
    given_case = {"image": image, "case_id": "a"}
    out = Normalized("image", PERCENTILES)(given_case)
    assert isinstance(out["image"], MetaTensor) and torch.equal(out["image"].affine, image.affine) and out["case_id"] == "a"
    assert given_case["image"] is image and image.min() >= 0


def test_a_soft_clip_tells_bright_structures_apart_in_each_channel_by_itself() -> None:
    grey = torch.randn(2, 40, 40, generator=torch.Generator().manual_seed(0)) * 15 + 100
    grey[:, 3, 3:5], grey[:, 9, 9:11] = 500, 900
    grey[1] = 7 * grey[0]
    soft = {"method": "soft_percentiles", "lower": 0.5, "upper": 99.5, "below": 0.0, "above": 40.0, "range": [-1, 1]}
    given_case = MetaTensor(grey, affine=torch.diag(torch.tensor([2.0, 2.0, 1.0, 1.0])))
    out = normalized(given_case, soft)
    assert out.dtype == torch.float32 and out.affine[0, 0] == 2 and out.min() >= -1 and out.max() <= 1
    assert torch.allclose(out[0].as_tensor(), out[1].as_tensor(), atol=1e-4)
    assert (out[:, 9, 9] - out[:, 3, 3]).min() > 0.05
    clipped = normalized(given_case, PERCENTILES)
    assert torch.equal(clipped[:, 9, 9].as_tensor(), clipped[:, 3, 3].as_tensor())


def test_an_unknown_method_is_refused_and_the_known_accepted() -> None:
    with pytest.raises(
        ConfigError, match="normalization: got method 'zscore', expected percentiles, soft_percentiles or window"
    ):
        Normalized("image", {"method": "zscore", "lower": 0, "upper": 1})
    assert normalized(torch.zeros(1, 1, 1), {"method": "window", "lower": -1, "upper": 1}).item() == 0


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"method": "soft_percentiles", "lower": 0.5, "upper": 99.5, "below": 0}, "above of soft_percentiles is None"),
        ({"method": "percentiles", "lower": 0.5, "upper": 200}, "upper of percentiles is 200, expected a number from 0 to 100"),
        ({"method": "window", "lower": "a", "upper": 1}, "lower of window is 'a', expected a number"),
        ([{"method": "zscore"}], "got method "),
    ],
)
def test_a_rule_that_is_none_is_refused_in_a_sentence(rule: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=f"normalization: {said}"):
        Normalized("image", rule)
