"""Phantom cases as files. The bytes depend on the data alone: no time stamp, no file name inside."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PngImage

from data_prep.new_nifti import new_nifti
from data_prep.phantom.acquisition import Image

SUFFIX = {2: ".png", 3: ".nii.gz"}
GREY_MAX = 255


def write_nifti(path: Path, voxels: NDArray[np.generic], affine: NDArray[np.float64]) -> None:
    """Write (X, Y, Z) `voxels` with `affine` (mm, RAS) in both sform and qform, code 1 (scanner coordinates)."""
    image = new_nifti(voxels, affine)
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=6, mtime=0) as stream:
        stream.write(image.to_bytes())
    path.write_bytes(packed.getvalue())


def to_rows(plane: NDArray[np.generic]) -> NDArray[np.generic]:
    """(X, Y, 1) in RAS order to picture rows: anterior at the top, the patient's right on the left of the picture."""
    return np.ascontiguousarray(plane[:, ::-1, 0].T)


def write_png(path: Path, plane: NDArray[np.uint8]) -> None:
    """Write an (X, Y, 1) uint8 plane as an 8-bit grey PNG."""
    PngImage.fromarray(to_rows(plane)).save(path, format="PNG")


def _to_grey(signal: NDArray[np.float32], white: float) -> NDArray[np.uint8]:
    return np.clip(np.rint(signal * (GREY_MAX / white)), 0, GREY_MAX).astype(np.uint8)


def write_case(image: Image, image_path: Path, label_path: Path, white: float) -> None:
    """Write one case by the suffix of `image_path`: int16 NIfTI, or 8-bit PNG where `white` is the signal of 255."""
    if image_path.suffix == ".png":
        write_png(image_path, _to_grey(image.signal, white))
        write_png(label_path, image.label)
        return
    stored = np.clip(np.rint(image.signal), 0, np.iinfo(np.int16).max).astype(np.int16)
    write_nifti(image_path, stored, image.affine)
    write_nifti(label_path, image.label, image.affine)
