"""Pictures from raw files to masks and report.html, as a user types it: grey, colour, label values above 255, flat volumes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from command_line import typed
from PIL import Image
from prediction_runs import Threshold, model_card, predict

from data_prep.build import build
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import read_card, save_weights

RGB = ["red", "green", "blue"]
TINY = ("--max_epochs", "1", "--updates_per_epoch", "1", "--batch_size", "2", "--progress_bar", "False", "--num_workers", "0")


def pixels(seed: int, coloured: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """A picture (24, 16[, 3]) uint8, rows first, and its mask (24, 16)."""
    rgb = np.random.default_rng(seed).integers(0, 120, (24, 16, 3)).astype(np.uint8)
    mask = np.zeros((24, 16), np.uint8)
    mask[6:14, 4:12] = 1
    rgb[mask > 0] = (250, 200, 160)
    return (rgb if coloured else rgb[..., 0].copy()), mask


def raw(folder: Path, kind: str, value: int = 1, count: int = 3) -> Path:
    """images/ and labels/ of one kind: "grey.png", "colour.png", "colour.jpg" or "flat.nii.gz"."""
    what, suffix = kind.split(".", 1)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        image, mask = pixels(i, what == "colour")
        if what == "flat":
            affine = np.diag([0.5, 0.5, 999.0, 1.0])
            for name, array in (("images", image), ("labels", mask * np.uint8(value))):
                nib.save(nib.Nifti1Image(array.T[..., None], affine), folder / name / f"case{i}.{suffix}")
        else:
            Image.fromarray(image).save(folder / "images" / f"case{i}.{suffix}")
            Image.fromarray(mask.astype(np.uint16 if value > 255 else np.uint8) * value).save(
                folder / "labels" / f"case{i}.png"
            )
    return folder


def card_of(channels: list[str], values: tuple[int, ...] = (0, 1), coloured: bool = False, **card: Any) -> dict[str, Any]:
    described = model_card(2, 1.0, 16, num_classes=len(values), **card)
    described["channels"] = channels
    described["network"]["in_channels"] = len(channels)
    for label, value in zip(described["labels"], values, strict=True):
        label["value"] = value
    return described | ({"colour": channels} if coloured else {})


def model(folder: Path, described: dict[str, Any]) -> Path:
    """A network of random weights."""
    torch.manual_seed(0)
    save_weights(HybridDiffusionUNet(**described["network"]).state_dict(), folder, described)
    return folder / "model.pt"


def thresholds(folder: Path, described: dict[str, Any]) -> dict[str, Any]:
    save_weights(Threshold().state_dict(), folder, described)
    return {"model": folder / "model.pt", "network_def": {"_target_": "prediction_runs.Threshold"}}


def quality(folder: Path) -> list[dict[str, str]]:
    with (folder / "quality.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize(
    ("kind", "unit", "channels"),
    [("grey.png", "pixels", ["image"]), ("colour.png", "pixels", RGB), ("flat.nii.gz", "mm", ["image"])],
)
def test_evaluation_ends_with_a_report(tmp_path: Path, kind: str, unit: str, channels: list[str]) -> None:
    build(raw(tmp_path / "raw", kind), tmp_path / "prepared")
    weights = model(tmp_path / "models", card_of(channels, coloured=channels == RGB))
    done = typed(
        "evaluate", "--data", tmp_path / "prepared", "--model", weights, "--output", tmp_path / "eval", "--split", "training"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    page = (tmp_path / "eval/report.html").read_text(encoding="utf-8")
    assert f"{unit}</text>" in page and "data:image/png" in page
    with np.load(next(iter((tmp_path / "eval/slices").iterdir()))) as arrays:
        assert str(arrays["unit"]) == unit and arrays["image"].ndim == (3 if channels == RGB else 2)


@pytest.mark.long
def test_a_colour_model_from_training_to_the_masks_of_jpeg_files(tmp_path: Path) -> None:
    build(raw(tmp_path / "raw", "colour.jpg", value=255), tmp_path / "prepared", channels="green,red")
    done = typed("pretrain", "--data", tmp_path / "prepared", "--output", tmp_path / "run", *TINY)
    assert done.returncode == 0, done.stderr[-2000:]
    card = read_card(tmp_path / "run/models/model.safetensors")
    assert card is not None and card["colour"] == card["channels"] == ["green", "red"]
    assert predict(input=tmp_path / "raw/images", model=tmp_path / "run/models/model.pt", output_dir=tmp_path / "masks") is None
    mask = np.asarray(Image.open(tmp_path / "masks/case0_seg.png"))
    assert mask.shape == (24, 16) and set(np.unique(mask)) <= {0, 255}
    done = typed("sample", "--model", tmp_path / "run/models/model.pt", "--output", tmp_path / "drawn", "--num_samples", 1,
                 "--num_inference_steps", 2)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    names = sorted(path.name for path in (tmp_path / "drawn").glob("sample_*"))
    assert names == ["sample_000_image_green.png", "sample_000_image_red.png", "sample_000_mask.png"]


def test_a_grey_model_becomes_one_of_colours(tmp_path: Path) -> None:
    build(raw(tmp_path / "raw", "colour.png", value=255), tmp_path / "prepared")
    source = model(tmp_path / "models", card_of(["image"]))
    done = typed("adapt", "--data", tmp_path / "prepared", "--model", source, "--shots", 2, "--output", tmp_path / "run", *TINY)
    assert done.returncode == 0, done.stderr[-2000:]
    told = (tmp_path / "run/logs/transfer.txt").read_text()
    assert "channel   red <- 0.333 image" in told and "label     label_255 <- grey (row 1)" in told
    card = read_card(tmp_path / "run/models/model.safetensors")
    assert card is not None and card["colour"] == RGB and card["labels"][1]["value"] == 255


def test_a_grey_model_names_what_to_type_for_colours(tmp_path: Path) -> None:
    folder = raw(tmp_path / "raw", "colour.png")
    given = thresholds(tmp_path, card_of(["image"], (0, 1, 2), objective="supervised"))
    refused = predict(input=folder / "images", output_dir=tmp_path / "masks", **given)
    assert "3 of 3 cases failed" in str(refused)
    said = quality(tmp_path / "masks")[0]["error"]
    assert "case0.png: it is a colour picture; expected one grey value per pixel" in said and "--colour green" in said
    for colour in ("grey", "red"):
        assert predict(input=folder / "images", output_dir=tmp_path / colour, colour=colour, **given) is None
        assert len(list((tmp_path / colour).glob("*_seg.png"))) == 3


def test_grey_files_for_a_colour_model_are_taken_and_said(tmp_path: Path) -> None:
    folder = raw(tmp_path / "raw", "grey.png")
    weights = model(tmp_path / "models", card_of(RGB, coloured=True))
    assert predict(input=folder / "images", output_dir=tmp_path / "masks", model=weights) is None
    rows = quality(tmp_path / "masks")
    assert all("a grey picture, its one value taken for each of red, green, blue" in row["flag"] for row in rows)


def test_label_values_above_255_are_written(tmp_path: Path) -> None:
    folder = raw(tmp_path / "raw", "grey.png")
    given = thresholds(tmp_path, card_of(["image"], (0, 300, 1024), objective="supervised"))
    assert predict(input=folder / "images", output_dir=tmp_path / "masks", **given) is None
    picture = Image.open(tmp_path / "masks/case0_seg.png")
    assert picture.mode == "I;16" and set(np.unique(np.asarray(picture))) == {0, 300, 1024}


def test_label_values_that_png_cannot_hold_are_refused_at_once(tmp_path: Path) -> None:
    folder = raw(tmp_path / "raw", "grey.png")
    given = thresholds(tmp_path, card_of(["image"], (0, 300, 70000), objective="supervised"))
    assert "3 of 3 cases failed" in str(predict(input=folder / "images", output_dir=tmp_path / "masks", **given))
    assert "the model's label value 70000 does not fit into PNG" in quality(tmp_path / "masks")[0]["error"]


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
@pytest.mark.parametrize("axis", [2, 1, 0])
def test_masks_of_flat_volumes_lie_on_their_own_grid(tmp_path: Path, axis: int, suffix: str) -> None:
    image = np.expand_dims(pixels(0, False)[0].T, axis)
    sizes = [0.7, 0.7]
    sizes.insert(axis, 999.0)
    affine = np.diag([*sizes, 1.0])
    affine[:3, 3] = (4, 5, 6)
    path = tmp_path / f"scan{suffix}"
    if suffix == ".nii.gz":
        nib.save(nib.Nifti1Image(image, affine), path)
    else:
        sitk = pytest.importorskip("SimpleITK")
        volume = sitk.GetImageFromArray(image.T)
        volume.SetSpacing(sizes)
        volume.SetDirection([-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0])
        volume.SetOrigin([-4.0, -5.0, 6.0])
        sitk.WriteImage(volume, str(path))
    card = card_of(["image"], (0, 1, 2), objective="supervised")
    card["training"]["spacing"] = [0.7, 0.7]
    given = thresholds(tmp_path, card)
    maps = {"save_entropy": True, "save_probabilities": True}
    failed = predict(input=path, output_dir=tmp_path / "masks", **maps, **given)
    assert failed is None, quality(tmp_path / "masks")
    mask = nib.load(tmp_path / "masks/scan_seg.nii.gz")
    assert mask.shape == image.shape
    np.testing.assert_allclose(mask.affine, affine, atol=1e-5)
    found = np.asarray(mask.dataobj).squeeze()
    assert (found[pixels(0)[1].T > 0] == 2).all() and (found[pixels(0)[1].T == 0] < 2).all()
    assert nib.load(tmp_path / "masks/scan_entropy.nii.gz").shape == image.shape
    assert nib.load(tmp_path / "masks/scan_probabilities.nii.gz").shape == (*image.shape, 3)
    assert quality(tmp_path / "masks")[0]["unit"] == "mm2"
