"""Masks that are drawn from a model carry the user's label values, whatever their size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from monai_hybrid.bundle.sample import PairSampler


def written(folder: Path, dims: int, values: list[int], spacing: float = 1.0) -> Any:
    """One mask of three classes, as it is written by the sampler of a model with these label values."""
    sampler = PairSampler.__new__(PairSampler)
    labels = [{"name": f"n{i}", "index": i, "value": value} for i, value in enumerate(values)]
    sampler.card = {"labels": labels, "channels": ["x"], "training": {"spacing": [spacing] * dims}}
    sampler.folder, sampler.model = folder, folder / "model.pt"
    torch.save(torch.nn.Linear(1, 1).state_dict(), sampler.model)
    mask = torch.arange(3).repeat(6**dims // 3).reshape((6,) * dims)
    sampler._write([torch.zeros((1, *mask.shape))], [mask], [1.0], {"method": "ode", "num_inference_steps": 1})
    found = folder / "sample_000_mask.png"
    array = (
        np.asarray(Image.open(found)).T if found.is_file() else np.asarray(nib.load(folder / "sample_000_mask.nii.gz").dataobj)
    )
    np.testing.assert_array_equal(array, np.array(values)[mask.numpy()])
    return array


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("values", [[0, 1, 255], [0, 300, 1024], [0, 312782628, 312782632], [0, 7, 2**40]])
def test_values_are_written_exactly(dims: int, values: list[int], tmp_path: Path) -> None:
    written(tmp_path, dims, values)
    assert (tmp_path / "sample_000_mask.png").is_file() == (dims == 2 and max(values) < 2**16)


@pytest.mark.parametrize("spacing", [1.0, 2.5])
def test_a_picture_is_png_where_its_pixels_are_the_networks(spacing: float, tmp_path: Path) -> None:
    """A PNG of larger pixels would be made small when it is read again."""
    written(tmp_path, 2, [0, 1, 2], spacing)
    endings = {path.name.partition(".")[2] for path in tmp_path.glob("sample_000_*")}
    assert endings == ({"png"} if spacing == 1 else {"nii.gz"})
    if spacing != 1:
        for name in ("image", "mask"):
            assert nib.load(tmp_path / f"sample_000_{name}.nii.gz").header.get_zooms() == (spacing, spacing)


def test_a_pair_is_never_there_in_two_formats_and_files_of_others_stay(tmp_path: Path) -> None:
    written(tmp_path, 2, [0, 1, 2])
    written(tmp_path, 2, [0, 1, 2], 2.5)
    assert not list(tmp_path.glob("sample_*.png"))
    Image.new("L", (4, 4)).save(tmp_path / "sample_000_image.png")
    (tmp_path / "samples.json").unlink()
    written(tmp_path, 2, [0, 1, 2], 2.5)
    assert [path.name for path in tmp_path.glob("sample_*.png")] == ["sample_000_image.png"]
