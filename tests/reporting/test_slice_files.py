"""What the evaluation writes, the report reads: slices of volumes and pictures, with and without a known spacing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image

from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.slices import SliceSaver
from monai_hybrid.reporting.overlays import CaseSlice, cropped, panels, read_slice, reduced

RGB = ["red", "green", "blue"]


def image_file(folder: Path, dims: int, coloured: bool) -> tuple[Path, tuple[int, ...]]:
    rng = np.random.default_rng(0)
    if dims == 3:
        nib.save(nib.Nifti1Image(rng.random((12, 10, 6)).astype(np.float32), np.diag([1, 2, 3, 1])), folder / "a.nii.gz")
        return folder / "a.nii.gz", (12, 10, 6)
    pixels = rng.integers(0, 256, (10, 12, 3)).astype(np.uint8)
    Image.fromarray(pixels if coloured else pixels[..., 0]).save(folder / "a.png")
    return folder / "a.png", (12, 10)


def written(folder: Path, dims: int, unit: str, coloured: bool = False) -> Path:
    """Go through the handler as an evaluation does."""
    path, shape = image_file(folder, dims, coloured)
    label = torch.zeros(1, *shape)
    label[(slice(None), *(slice(2, 6) for _ in shape))] = 1
    label = MetaTensor(label, affine=torch.diag(torch.tensor([1.0, 2.0, 3.0, 1.0] if dims == 3 else [1.0, 2.0, 1.0])))
    saver = SliceSaver(str(folder / "eval"), 2, unit, colour=RGB if coloured else None, spatial_dims=dims)
    case = {"case_id": "a", "image": SimpleNamespace(meta={"filename_or_obj": str(path)})}
    engine: Any = SimpleNamespace(state=SimpleNamespace(output=[{"label": label, "pred": label}], batch=[case]))
    saver.collect(engine)
    saver.write(engine)
    return folder / "eval/slices/a.npz"


@pytest.mark.parametrize(
    ("dims", "unit", "coloured", "spacing", "said"),
    [
        (2, "pixels", False, (1, 1), "pixels"),
        (2, "pixels", True, (1, 1), "pixels"),
        (2, "mm", False, (2, 1), "mm"),
        (3, "voxels", False, (1, 1), "voxels"),
        (3, "mm", False, (2, 1), "mm"),
    ],
)
def test_every_slice_is_read_and_drawn(
    tmp_path: Path, dims: int, unit: str, coloured: bool, spacing: tuple[int, int], said: str
) -> None:
    found = read_slice(written(tmp_path, dims, unit, coloured))
    assert found.spacing == spacing and found.unit == said
    assert found.image.shape == (10, 12, 3) if coloured else found.image.ndim == 2
    part, _ = cropped(found)
    drawn = panels(reduced(part), "k", "a", ["one"], "another unit")
    assert f"{said}</text>" in drawn[0][1] and "another unit" not in drawn[0][1] and "data:image/png" in drawn[0][1]


def test_colours_are_shown_as_they_are(tmp_path: Path) -> None:
    path = written(tmp_path, 2, "pixels", coloured=True)
    np.testing.assert_array_equal(read_slice(path).image, np.asarray(Image.open(tmp_path / "a.png")))


def old(folder: Path, **changes: Any) -> Path:
    mask = np.zeros((4, 5), np.uint8)
    arrays = {"image": mask, "reference": mask, "prediction": mask, "spacing": np.zeros(2, np.float32), **changes}
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def test_slices_of_an_earlier_evaluation_open_in_pixels(tmp_path: Path) -> None:
    found = read_slice(old(tmp_path))
    assert found.spacing == (1, 1) and found.unit == "pixels"
    assert read_slice(old(tmp_path, spacing=np.float32([2, 3]))).unit is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"spacing": np.float32([0, 1])}, "spacing is .* expected two lengths above 0"),
        ({"spacing": np.float32([np.nan, np.nan])}, "expected two lengths above 0"),
        ({"spacing": np.zeros(2, np.float32), "unit": np.array("mm")}, "expected two lengths above 0"),
        ({"spacing": np.ones(2, np.float32), "unit": np.array("<b>")}, "unit is '<b>'; expected one of mm, pixels, voxels"),
        ({"image": np.zeros((4, 5, 2), np.uint8)}, r"image is uint8 \(4, 5, 2\)"),
        ({"reference": np.zeros((4, 5, 3), np.uint8)}, r"reference is uint8 \(4, 5, 3\); expected uint8 \(4, 5\)"),
    ],
)
def test_damaged_slices_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_slice(old(tmp_path, **changes))


def test_a_large_picture_is_reduced_with_its_spacing() -> None:
    mask = np.zeros((1200, 900), np.uint8)
    small = reduced(CaseSlice(np.zeros((1200, 900, 3), np.uint8), mask, mask, (1.0, 1.0), "pixels"))
    assert small.image.shape == (400, 300, 3) and small.spacing == (3, 3) and small.unit == "pixels"
