"""Tiny data sets made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prep_samples import RAS, cube, noise, save


@pytest.fixture
def nifti_set(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with images/ and labels/ of NIfTI files."""

    def make(
        names: Sequence[str] = ("a", "b", "c"),
        shape: Sequence[int] = (6, 7, 8),
        affine: np.ndarray = RAS,
        values: Sequence[int] = (1,),
        folder: str = "raw",
    ) -> Path:
        root = tmp_path / folder
        for index, name in enumerate(names):
            save(root / "images" / f"{name}.nii.gz", noise(shape, index), affine)
            save(root / "labels" / f"{name}.nii.gz", cube(shape, values[index % len(values)]), affine)
        return root

    return make


@pytest.fixture
def png_set(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with images/ and labels/ of PNG files of `size` (width, height)."""

    def make(names: Sequence[str] = ("a", "b", "c"), size: tuple[int, int] = (20, 12), value: int = 255) -> Path:
        root = tmp_path / "raw"
        for folder in ("images", "labels"):
            (root / folder).mkdir(parents=True)
        for index, name in enumerate(names):
            grey = noise(size[::-1], index).astype(np.uint8)
            Image.fromarray(grey).save(root / "images" / f"{name}.png")
            Image.fromarray(cube(size[::-1], value)).save(root / "labels" / f"{name}.png")
        return root

    return make
