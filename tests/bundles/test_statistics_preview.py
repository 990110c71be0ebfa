"""Sizes, mean intensities and previews beside the masks, for volumes, pictures, colours and several channels."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image
from prediction_runs import predict, threshold_model, visible

from data_prep.scans import is_own
from monai_hybrid.errors import ConfigError
from monai_hybrid.prediction import CasePreview, CaseStatistics, FileImage

LABELS = [{"index": i, "value": 10 * i, "name": name} for i, name in enumerate(("background", "grey", "white"))]
RGB = ["red", "green", "blue"]


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "statistics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def scan(path: Path, seed: int = 0) -> np.ndarray:
    """Three grey levels with noise, LPS, 2 x 1 x 1.5 mm."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 16)] * 3, indexing="ij"))
    radius = np.sqrt(((grid - 0.1) ** 2).sum(0))
    values = np.select([radius < 0.5, radius < 0.8], [900, 500], 0) + np.random.default_rng(seed).integers(0, 9, radius.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values.astype(np.int16), np.diag([-2.0, -1.0, 1.5, 1.0])), path)
    return values


def test_a_prediction_writes_sizes_means_and_pictures_and_goes_on(tmp_path: Path) -> None:
    values = scan(tmp_path / "in/a.nii.gz")
    given = threshold_model(tmp_path / "model") | {"input": tmp_path / "in", "output_dir": tmp_path / "out"}
    given |= {"statistics": True, "preview": True, "denoising_score": False}
    assert predict(**given) is None
    scan(tmp_path / "in/b.nii.gz", 1)
    assert predict(**given) is None
    pictures = ["a_preview.png", "a_seg.nii.gz", "b_preview.png", "b_seg.nii.gz"]
    assert visible(tmp_path / "out") == [*pictures, "quality.csv", "statistics.csv", "statistics.json"]
    rows = table(tmp_path / "out")
    assert [(row["case_id"], row["structure"]) for row in rows] == [(c, s) for c in "ab" for s in ("grey", "white")]
    mask = np.asarray(nib.load(tmp_path / "out/a_seg.nii.gz").dataobj)
    for row, value in zip(rows, (10, 20), strict=False):
        count = int((mask == value).sum())
        assert int(row["voxels"]) == count > 0
        assert float(row["volume_mm3"]) == pytest.approx(3 * count) and float(row["volume_ml"]) == pytest.approx(0.003 * count)
        assert float(row["mean_image"]) == pytest.approx(values[mask == value].mean(), rel=1e-5)
    with Image.open(tmp_path / "out/a_preview.png") as picture:
        # Axial 32 x 16 mm, coronal 32 x 24 mm, sagittal 16 x 24 mm, 32 mm are 360 pixels; 4 between them.
        assert picture.size == (360 + 4 + 360 + 4 + 180, 270)
        colours = set(picture.convert("RGB").getdata())
    assert any(red > blue + 60 for red, _, blue in colours) and is_own(tmp_path / "out/a_preview.png")


def output(case_id: str, image: Path, index: np.ndarray, affine: Any = None) -> dict[str, Any]:
    meta = {"filename_or_obj": str(image)} | ({} if affine is None else {"original_affine": affine})
    return {"case_id": case_id, "pred": MetaTensor(torch.as_tensor(index)[None], meta=meta)}


@pytest.mark.parametrize("form", ["grey", "colour", "channels"])
def test_each_form_of_image_has_its_means(form: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    index = np.zeros((12, 10), np.uint8)
    index[2:6, 3:8] = 1
    if form == "channels":
        index = np.repeat(index[..., None], 4, axis=2)
        values = [rng.normal(size=index.shape).astype(np.float32) for _ in range(2)]
        files = [str(tmp_path / f"case_000{number}.nii.gz") for number in range(2)]
        for file, array in zip(files, values, strict=True):
            nib.save(nib.Nifti1Image(array, np.eye(4)), file)
        read, names, unit = FileImage([{"case_id": "case", "image": files}], None, 3), ["T1", "T2"], "voxels"
    else:
        pixels = rng.integers(0, 255, (10, 12, 3), np.uint8)
        files = [str(tmp_path / "case.png")]
        Image.fromarray(pixels if form == "colour" else pixels[..., 0]).save(files[0])
        values = [pixels[..., number].T for number in range(3 if form == "colour" else 1)]
        read, names, unit = (
            FileImage([], RGB if form == "colour" else None, 2),
            RGB if form == "colour" else ["image"],
            "pixels",
        )
    of = output("case", Path(files[0]), index)
    CaseStatistics(str(tmp_path), LABELS, names, read)(of, 1.0, unit)
    CasePreview(str(tmp_path), read)(of, 1.0, unit)
    full, empty = table(tmp_path)
    assert list(full) == ["case_id", "structure", "voxels" if form == "channels" else "pixels", *(f"mean_{n}" for n in names)]
    for name, array in zip(names, values, strict=True):
        assert float(full[f"mean_{name}"]) == pytest.approx(array[index == 1].mean(), rel=1e-5)
        assert empty[f"mean_{name}"] == ""
    told = json.loads((tmp_path / "statistics.json").read_text())["cases"]["case"]["structures"]
    assert told["white"][f"mean_{names[0]}"] is None
    with Image.open(tmp_path / "case_preview.png") as picture:
        shown = np.asarray(picture)
    assert shown.shape == ((300, 4 * 2 + 360 * 2 + 300, 3) if form == "channels" else (300, 360, 3))
    if form == "colour":  # bilinear, so only the middle of a pixel is as in the file
        np.testing.assert_allclose(shown[15::30, 15::30][9], pixels[9], atol=12)


def test_files_of_the_user_are_kept(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "case.png")
    of = output("case", tmp_path / "case.png", np.ones((8, 8), np.uint8))
    for name, write in (
        ("statistics.csv", CaseStatistics(str(tmp_path), LABELS, ["image"], FileImage([], None, 2))),
        ("case_preview.png", CasePreview(str(tmp_path), FileImage([], None, 2))),
    ):
        (tmp_path / name).write_text("of the user")
        with pytest.raises(ConfigError, match=f"{name}: is there already, was not written by monai-hybrid"):
            write(of, 1.0, "pixels")
        assert (tmp_path / name).read_text() == "of the user"
