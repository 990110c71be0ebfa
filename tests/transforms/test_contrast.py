"""Random contrasts: another image, the same anatomy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor

from monai_hybrid.errors import ConfigError
from monai_hybrid.transforms import RandGIN, RandGINd, contrast_kind
from monai_hybrid.transforms.contrast import apply_gin

SHAPES = pytest.mark.parametrize("shape", [(1, 20, 24), (2, 16, 18), (1, 12, 10, 14), (3, 8, 9, 1)])


def image(*shape: int, seed: int = 0) -> Tensor:
    """Half background of -1, half noise up to 1."""
    grey = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.6
    grey[:, : shape[1] // 2] = -1.0
    return grey


def changed(before: Any, seed: int = 0) -> Any:
    return RandGIN(prob=1.0).set_random_state(seed)(before)


@SHAPES
def test_shape_type_and_range_are_kept(shape: tuple[int, ...]) -> None:
    before = image(*shape)
    for seed in range(20):
        after = changed(before, seed)
        assert after.shape == before.shape and after.dtype == torch.float32
        assert float(after.min()) >= -1 and float(after.max()) <= 1 and bool(torch.isfinite(after).all())
        assert not torch.allclose(after, before, atol=1e-4)


def test_the_seed_decides_and_the_input_is_left_alone() -> None:
    before = image(1, 16, 16)
    kept = before.clone()
    assert torch.equal(changed(before, 3), changed(before, 3))
    assert not torch.allclose(changed(before, 3), changed(before, 4), atol=1e-3)
    assert torch.equal(before, kept)


def test_each_call_draws_a_new_network_and_prob_leaves_images_alone() -> None:
    gin, before = RandGIN(prob=0.5).set_random_state(0), image(1, 12, 12)
    results = [gin(before) for _ in range(40)]
    same = sum(torch.equal(r, before) for r in results)
    assert 10 <= same <= 30
    assert len({round(float(r[0, -3, 5]), 5) for r in results}) > 10


def test_the_draw_is_apart_from_the_application() -> None:
    gin = RandGIN(prob=1.0).set_random_state(1)
    first = gin(image(1, 12, 12))
    assert torch.equal(gin(image(1, 12, 12), randomize=False), first)


def test_mean_and_norm_are_kept_but_for_what_is_clipped() -> None:
    before = 0.1 * image(1, 32, 32)  # far from the limits: nothing is clipped
    for seed in range(10):
        after = changed(before, seed)
        assert float(after.mean()) == pytest.approx(float(before.mean()), abs=1e-5)
        assert float((after - after.mean()).norm()) == pytest.approx(float((before - before.mean()).norm()), rel=1e-4)


@pytest.mark.parametrize("value", [-1.0, 0.0, 0.7])
def test_a_constant_image_stays_as_it_is(value: float) -> None:
    before = torch.full((1, 8, 8, 8), value)
    for seed in range(5):
        assert torch.allclose(changed(before, seed), before, atol=1e-5)


def test_background_of_one_value_stays_of_one_value() -> None:
    before = image(1, 40, 16)
    for seed in range(10):
        background = changed(before, seed)[0, :14]  # four kernels of 3 reach at most four voxels beyond an edge
        assert float(background.max() - background.min()) < 1e-5


def test_the_mapping_is_not_monotone_only() -> None:
    """Some draws make bright dark: that is what a change of modality does."""
    ramp = torch.linspace(-1, 1, 64).view(1, 64, 1).expand(1, 64, 8).contiguous()
    signs = {bool(changed(ramp, seed)[0, 60, 4] > changed(ramp, seed)[0, 3, 4]) for seed in range(40)}
    assert signs == {True, False}


def test_alpha_zero_is_the_image() -> None:
    layers = [(torch.randn(2, 1, 3, 3), torch.randn(2)), (torch.randn(1, 2, 1, 1), torch.randn(1))]
    before = image(1, 16, 16)
    assert torch.allclose(apply_gin(before, layers, 0.0), before, atol=1e-5)
    assert not torch.allclose(apply_gin(before, layers, 1.0), before, atol=1e-2)


@pytest.mark.parametrize("kind", ["numpy", "meta"])
def test_the_container_is_kept(kind: str) -> None:
    plain = image(1, 12, 12)
    before = plain.numpy() if kind == "numpy" else MetaTensor(plain, affine=torch.diag(torch.tensor([2.0, 2, 2, 1])))
    after = changed(before)
    assert type(after) is type(before)
    if kind == "meta":
        assert torch.equal(after.affine, before.affine)
    assert np.allclose(np.asarray(after), np.asarray(changed(plain)))


def test_in_a_dictionary_the_label_is_untouched_and_images_share_the_network() -> None:
    case = {"image": image(1, 12, 12), "other": image(1, 12, 12), "label": (image(1, 12, 12) > 0).float(), "case_id": "a"}
    label = case["label"].clone()
    after = RandGINd(["image", "other"], prob=1.0).set_random_state(0)(case)
    assert torch.equal(after["label"], label) and after["case_id"] == "a" and set(after) == set(case)
    assert torch.equal(after["image"], after["other"]) and not torch.allclose(after["image"], case["image"])
    again = RandGINd(["image", "other"], prob=1.0).set_random_state(0)(case)
    assert torch.equal(after["image"], again["image"])


def test_in_a_dictionary_prob_counts_cases() -> None:
    gin, case = RandGINd("image", prob=0.5).set_random_state(0), {"image": image(1, 8, 8)}
    same = sum(torch.equal(gin(case)["image"], case["image"]) for _ in range(60))
    assert 18 <= same <= 42
    with pytest.raises(KeyError):
        RandGINd("absent", prob=1.0)(case)
    assert RandGINd("absent", prob=1.0, allow_missing_keys=True)(case) == case


@pytest.mark.parametrize(
    ("setting", "kind"), [(True, "histogram"), (False, "none"), ("none", "none"), ("histogram", "histogram"), ("gin", "gin")]
)
def test_the_setting_takes_names_and_the_former_switch(setting: Any, kind: str) -> None:
    assert contrast_kind(setting) == kind


def test_an_unknown_contrast_is_refused() -> None:
    with pytest.raises(ConfigError, match="contrast_randomisation: got 'bezier', expected one of none, histogram, gin"):
        contrast_kind("bezier")
