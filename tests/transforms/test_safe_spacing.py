"""Resampling next to keys such as "image_path"."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Spacingd

from monai_hybrid.errors import DataError
from monai_hybrid.transforms import SafeSpacingd, fits


def case(**more: Any) -> dict[str, Any]:
    voxels = torch.rand(1, 8, 8, 4, generator=torch.Generator().manual_seed(0))
    affine = torch.diag(torch.tensor([1.0, 1.0, 2.0, 1.0], dtype=torch.float64))
    meta = {"filename_or_obj": "a.nii.gz"}  # it is NIfTI that MONAI fails on
    return {
        "image": MetaTensor(voxels, meta={**meta, "affine": affine}),
        "label": MetaTensor((voxels > 0.5).float(), meta={**meta, "affine": affine}),
        **more,
    }


BESIDE = {"image_path": "a.nii.gz", "label_name": "b", "image_id": 7, "case_id": "c"}
SETTINGS: dict[str, Any] = {"keys": ["image", "label"], "pixdim": [2.0, 1.0, 1.0], "mode": ["bilinear", "nearest"]}


def test_monai_fails_on_a_string_beside_the_image() -> None:
    """When this test fails, `SafeSpacingd` has become unnecessary."""
    with pytest.raises(AttributeError, match="'str' object has no attribute 'update'"):
        Spacingd(**SETTINGS)(case(image_path="a.nii.gz"))
    assert Spacingd(**SETTINGS)(case(case_id="a"))["case_id"] == "a"


def test_strings_and_numbers_beside_the_image_survive() -> None:
    out = SafeSpacingd(**SETTINGS)(case(**BESIDE))
    assert {key: out[key] for key in BESIDE} == BESIDE
    assert out["image"].shape == out["label"].shape == (1, 4, 8, 7)


def test_the_images_are_those_of_monai() -> None:
    ours, theirs = SafeSpacingd(**SETTINGS)(case(**BESIDE)), Spacingd(**SETTINGS)(case())
    for key in ("image", "label"):
        assert torch.equal(ours[key], theirs[key]) and torch.equal(ours[key].affine, theirs[key].affine)


def test_the_case_itself_is_not_changed_and_the_way_back_works() -> None:
    given, spacing = case(**BESIDE), SafeSpacingd(**SETTINGS)
    out = spacing(given)
    assert given["image"].shape == (1, 8, 8, 4) and {key: given[key] for key in BESIDE} == BESIDE
    back = spacing.inverse(out)
    assert back["image"].shape == (1, 8, 8, 4) and torch.allclose(back["image"].affine, given["image"].affine)


@pytest.mark.parametrize("resampling", ["area", "sample"])
def test_an_image_larger_than_memory_on_the_new_grid_is_refused(resampling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits, "machine_memory", lambda: 8192)  # two copies of 4 bytes: 1024 voxels
    spacing = SafeSpacingd("image", pixdim=[0.5, 0.5, 2.0], mode="bilinear", resampling=resampling)
    assert spacing(case())["image"].shape[-1] == 4  # 16 x 16 x 4 in area's count: all of it
    monkeypatch.setattr(fits, "machine_memory", lambda: 8191)
    with pytest.raises(
        DataError, match=r"a\.nii\.gz: 8 x 8 x 4 voxels of 1 x 1 x 2 mm become 16 x 16 x 4 of 0\.5 x 0\.5 x 2 mm"
    ):
        spacing(case())
    monkeypatch.setattr(fits, "machine_memory", lambda: None)  # a system that does not say
    spacing(case())
