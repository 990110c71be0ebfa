"""`SafeSpacingd` with shares of area: grids, noise, labels, the way back, and what stays as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Flipd, Spacingd

from monai_hybrid.errors import ConfigError
from monai_hybrid.inferers.grid_map import grid_map, input_grid
from monai_hybrid.transforms import CompleteLabeld, SafeSpacingd

KEYS = ["image", "label"]
MODES = ["bilinear", "nearest"]


def spacing(pixdim: float, dims: int, resampling: str = "area", keys: Any = KEYS, modes: Any = MODES) -> SafeSpacingd:
    return SafeSpacingd(keys, pixdim=[pixdim] * dims, mode=modes, resampling=resampling)


def case(shape: tuple[int, ...], edges: tuple[float, ...] | None = None, channels: int = 1) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    affine = torch.eye(4, dtype=torch.float64)
    for axis, edge in enumerate(edges or (1.0,) * len(shape)):
        affine[axis, axis] = edge
        affine[axis, 3] = 10 * axis - 7 if edges else 0
    image = MetaTensor(torch.randn(channels, *shape, generator=generator), affine=affine)
    label = MetaTensor((torch.rand(1, *shape, generator=generator) > 0.5).float(), affine=affine)
    for item in (image, label):
        item.meta["original_affine"] = affine.numpy()
    return {"image": image, "label": label}


FORMS = {
    "volume": ((24, 32, 16), (1.0, 0.5, 2.0), 1, 4.0),
    "volume of two channels": ((16, 16, 16), (1.0, 1.0, 1.0), 2, 2.0),
    "grey picture": ((32, 48), None, 1, 4.0),
    "colour picture": ((33, 47), None, 3, 4.0),
    "picture in mm": ((40, 24), (0.5, 0.5), 1, 1.3),
}


@pytest.mark.parametrize("form", FORMS)
def test_image_and_label_share_a_grid_that_knows_where_it_is(form: str) -> None:
    shape, edges, channels, target = FORMS[form]
    given = case(shape, edges, channels)
    step = spacing(target, len(shape))
    out = step(given)
    wanted = tuple(max(1, round(n * e / target)) for n, e in zip(shape, edges or [1] * len(shape), strict=True))
    assert out["image"].shape == (channels, *wanted) and out["label"].shape == (1, *wanted)
    assert torch.equal(out["image"].affine, out["label"].affine) and out["image"].dtype == torch.float32
    assert set(out["label"].unique().tolist()) <= {0.0, 1.0}
    middle = [torch.tensor([*((n - 1) / 2 for n in s), *[0] * (3 - len(s)), 1], dtype=torch.float64) for s in (shape, wanted)]
    assert torch.allclose(given["image"].affine.double() @ middle[0], out["image"].affine.double() @ middle[1])
    again = step.inverse(out)
    assert again["image"].shape == given["image"].shape
    assert torch.allclose(again["image"].affine.double(), given["image"].affine.double())
    assert not again["image"].applied_operations


def test_noise_is_averaged_where_sampling_keeps_it() -> None:
    given = case((128, 128))
    assert spacing(4, 2)(given)["image"].std() == pytest.approx(0.25, rel=0.1)
    assert spacing(4, 2, "sample")(given)["image"].std() == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize("target", [2.0, 3.0, 1.7])
def test_a_ramp_comes_back_without_a_shift(target: float) -> None:
    """There by area, and back by the maps of prediction."""
    ramp = torch.arange(48.0)[:, None].expand(48, 20)[None]
    image = spacing(target, 2, keys="image", modes="bilinear")({"image": MetaTensor(ramp.clone())})["image"]
    shape, affine = input_grid(image)
    found = grid_map(tuple(image.shape[1:]), shape, affine)
    assert found is not None and shape == (48, 20)
    own, along = found.along(0)
    values = along.apply(image.as_tensor()[0].clone(), 0, slice(0, 48))[:, 4]
    assert own == 0 and values[6:-6].numpy() == pytest.approx(np.arange(48.0)[6:-6], abs=0.02 if target % 1 == 0 else 0.13)


def test_a_label_keeps_a_line_that_sampling_loses() -> None:
    given = case((32, 32))
    given["label"] = MetaTensor(torch.zeros(1, 32, 32))
    given["label"][0, 9] = 1
    assert spacing(2, 2, "sample")(given)["label"].sum() == 0
    assert (spacing(2, 2)(given)["label"].amax(dim=1) == 1).all()


def test_the_default_is_monais_own() -> None:
    given = case((24, 32, 16), (1.0, 0.5, 2.0))
    ours = SafeSpacingd(KEYS, pixdim=[2.0] * 3, mode=MODES)(given)
    theirs = Spacingd(KEYS, pixdim=[2.0] * 3, mode=MODES)(given)
    assert all(torch.equal(ours[key], theirs[key]) and torch.equal(ours[key].affine, theirs[key].affine) for key in KEYS)


def test_the_same_spacing_changes_nothing() -> None:
    given = case((9, 7, 5), (1.0, 0.5, 2.0))
    out = SafeSpacingd(KEYS, pixdim=[1.0, 0.5, 2.0], mode=MODES, resampling="area")(given)
    assert torch.equal(out["image"], given["image"]) and torch.allclose(out["image"].affine, given["image"].affine)


def test_neighbours_survive_and_the_case_is_not_changed() -> None:
    beside = {"image_path": "a.nii.gz", "label_name": "b", "image_id": 7}
    given = case((16, 16, 16), (1.0, 1.0, 1.0)) | beside
    before = given["image"].clone()
    out = spacing(2, 3)(given)
    assert {key: out[key] for key in beside} == beside
    assert torch.equal(given["image"], before) and not given["image"].applied_operations


def test_a_step_that_still_waits_is_done_first() -> None:
    given = case((16, 16))
    lazily = Compose([Flipd(KEYS, spatial_axis=0), spacing(2, 2)], lazy=True)(given)
    at_once = Compose([Flipd(KEYS, spatial_axis=0), spacing(2, 2)])(given)
    assert torch.allclose(lazily["image"].as_tensor(), at_once["image"].as_tensor(), atol=1e-5)


def test_a_case_without_a_label_gets_one_on_its_grid() -> None:
    out = spacing(2, 2)(CompleteLabeld()({"image": case((16, 12))["image"]}))
    assert out["label"].shape == (1, 8, 6) and not out["label"].any()


def test_sheared_axes_are_straightened_by_sampling_as_before() -> None:
    given = case((16, 16, 16), (1.0, 1.0, 1.0))
    for key in KEYS:
        given[key].affine[1, 2] = 0.3
    step = spacing(2, 3)
    ours, theirs = step(given), Spacingd(KEYS, pixdim=[2.0] * 3, mode=MODES)(given)
    assert torch.equal(ours["image"], theirs["image"]) and torch.equal(ours["label"], theirs["label"])
    assert step.inverse(ours)["image"].shape == given["image"].shape


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="resampling: got 'gauss', expected area or sample"):
        SafeSpacingd("image", pixdim=[1.0], resampling="gauss")
