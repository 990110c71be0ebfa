"""Cases without a mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, LoadImaged, Orientationd
from PIL import Image
from torch.utils.data import DataLoader

from monai_hybrid.transforms import CompleteLabeld, SafeSpacingd

AFFINE = np.array([[-2.0, 0, 0, 5], [0, 1, 0, -3], [0, 0, 3, 1], [0, 0, 0, 1]])


def image() -> MetaTensor:
    return MetaTensor(torch.rand(2, 6, 5, 4), affine=AFFINE, meta={"filename_or_obj": "a.nii.gz"})


def test_a_labelled_case_keeps_its_label() -> None:
    label = MetaTensor(torch.ones(1, 6, 5, 4), affine=AFFINE)
    out = CompleteLabeld()({"image": image(), "label": label})
    assert out["label"] is label and out["has_label"] == 1


def test_an_unlabelled_case_gets_background_on_the_grid_of_its_image() -> None:
    given = {"image": image()}
    out = CompleteLabeld()(given)
    assert out["has_label"] == 0 and out["label"].shape == (1, 6, 5, 4) and not out["label"].any()
    assert torch.equal(out["label"].affine, given["image"].affine)
    assert out["label"].meta["filename_or_obj"] == "a.nii.gz"
    assert "label" not in given


def test_a_case_without_a_name_is_called_like_its_file() -> None:
    """MONAI Label's lists have images and labels alone."""
    assert CompleteLabeld()({"image": image()})["case_id"] == "a"
    assert CompleteLabeld()({"image": image(), "case_id": "mine"})["case_id"] == "mine"
    assert "case_id" not in CompleteLabeld()({"image": MetaTensor(torch.zeros(1, 4, 4))})


def test_image_and_made_label_stay_on_one_grid() -> None:
    """They share no metadata object: each transform moves each of them once."""
    both = ["image", "label"]
    chain = Compose([
        CompleteLabeld(),
        Orientationd(both, axcodes="RAS", labels=None),
        SafeSpacingd(both, pixdim=[1.0, 1.0, 1.0], mode=["bilinear", "nearest"]),
    ])  # fmt: skip
    unlabelled = chain({"image": image()})
    labelled = chain({"image": image(), "label": MetaTensor(torch.zeros(1, 6, 5, 4), affine=AFFINE)})
    for out in (unlabelled, labelled):
        assert out["label"].shape[1:] == out["image"].shape[1:] == (11, 5, 10)
        assert torch.equal(out["label"].affine, out["image"].affine)
    assert torch.equal(unlabelled["image"].affine, labelled["image"].affine)


def test_both_kinds_share_a_batch() -> None:
    step = CompleteLabeld()
    cases = [
        step({"image": torch.zeros(1, 4, 4), "label": torch.ones(1, 4, 4)}),
        step({"image": MetaTensor(torch.zeros(1, 4, 4))}),
    ]
    cases = [{key: torch.as_tensor(value) for key, value in case.items()} for case in cases]
    batch = next(iter(DataLoader(cases, batch_size=2)))
    assert batch["has_label"].tolist() == [1, 0] and batch["label"].sum((1, 2, 3)).tolist() == [16, 0]


def test_other_keys() -> None:
    out = CompleteLabeld(image_key="scan", label_key="mask")({"scan": image()})
    assert out["mask"].shape == (1, 6, 5, 4) and out["has_label"] == 0


def test_a_made_label_of_a_2d_image_is_2d(tmp_path: Path) -> None:
    """A picture file is read with a 4 x 4 affine; the label made for it has two axes as a read one has, also when resampled."""
    Image.new("L", (12, 10), 40).save(tmp_path / "scan.png")
    both = ["image", "label"]
    chain = Compose([
        LoadImaged(both, ensure_channel_first=True, image_only=True, allow_missing_keys=True),
        CompleteLabeld(),
        SafeSpacingd(both, pixdim=[2.0, 2.0], mode=["bilinear", "nearest"]),
    ])  # fmt: skip
    out = chain({"image": str(tmp_path / "scan.png")})
    assert out["label"].shape == out["image"].shape and out["label"].spatial_ndim == out["image"].spatial_ndim == 2
