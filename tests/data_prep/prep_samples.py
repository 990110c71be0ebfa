"""Helpers for tiny data sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

RAS = np.diag([1.0, 1.0, 1.0, 1.0])
PSR = np.array([[0, 0, 3.0, 0], [-1.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 0, 1]])  # 1, 2, 3 mm along P, S, R


def save(path: Path, array: np.ndarray, affine: np.ndarray = RAS) -> Path:
    """Write a NIfTI file, with both forms set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    image.to_filename(path)
    return path


def noise(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Grey values (shape), int16, different for every seed."""
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(np.int16)


def cube(shape: Sequence[int], value: int = 1) -> np.ndarray:
    """A label (shape), uint8, with a block of one value."""
    label = np.zeros(shape, np.uint8)
    label[tuple(slice(2, 4) for _ in shape)] = value
    return label


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: Any) -> Path:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
