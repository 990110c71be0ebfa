"""The content of a mask or a map as a file on the grid of its image: header and affine are the image's, bit for bit."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL.PngImagePlugin import PngInfo

from data_prep.errors import DataError
from data_prep.flat import flat_axis, refilled
from data_prep.header_text import without_text
from data_prep.nifti_open import open_nifti
from data_prep.pictures import is_picture, png_mask
from data_prep.reading import NIFTI, extension, read_volume
from data_prep.volume import Affine, Array


def mask_file(mask: Array, source: Path, target: Path, affine: Affine, described: bytes) -> tuple[bytes, Path]:
    """Bytes and path, with its suffix, of a mask (X, Y[, Z]) of whole numbers on the grid of `source`.

    NIfTI keeps the header of `source` (and its kind, NIfTI-1 or 2); pictures become PNG, which loses nothing; other formats
    become NIfTI with `affine`. A mask (X, Y) of a volume of one slice gets that slice's axis back. `described` says in the
    file who wrote it.

    Raises:
        DataError: the mask has another grid, or values that PNG cannot hold.
    """
    kind = extension(source)
    if is_picture(source):
        try:
            picture = png_mask(mask)
        except ValueError as error:
            raise DataError(f"{source}: its mask has {error}; renumber the labels, and train again") from error
        target = target.with_name(target.name + ".png")
        content = io.BytesIO()
        told = PngInfo()
        told.add_text("Description", described.decode())
        picture.save(content, format="PNG", pnginfo=told)
        return content.getvalue(), target
    target = target.with_name(target.name + ".nii.gz")
    if kind not in NIFTI and mask.ndim == 2:
        mask, affine = _like_flat(mask, source, affine)
    volume = _like_nifti(mask, source, described) if kind in NIFTI else nib.Nifti1Image(mask, affine, dtype=mask.dtype)
    volume.header["descrip"] = described
    return gzip.compress(volume.to_bytes(), compresslevel=6, mtime=0), target


def map_file(values: Array, source: Path, target: Path, affine: Affine, described: bytes) -> tuple[bytes, Path]:
    """Bytes and path of uint16 (X, Y[, Z[, K]]), 65535 = 1, as NIfTI on the grid of `source`."""
    target = target.with_name(target.name + ".nii.gz")
    if extension(source) in NIFTI:
        volume = _like_nifti(values, source, described)
    else:
        if not is_picture(source) and (values.ndim == 2 or values.shape[2] == 1):
            values, affine = _like_flat(values, source, affine)
        volume = nib.Nifti1Image(values, affine if affine.shape == (4, 4) else np.eye(4))
        volume.header["descrip"] = described
    volume.header.set_slope_inter(1 / 65535, 0)
    return gzip.compress(volume.to_bytes(), compresslevel=6, mtime=0), target


def _like_flat(mask: Array, source: Path, affine: Affine) -> tuple[Array, Affine]:
    """A mask (X, Y, ...) and its affine on the grid of an MHA or NRRD file that may have one slice."""
    file = read_volume(source)
    axis = flat_axis(file.shape)
    return (mask, affine) if axis is None or file.affine is None else (_with_the_slice(mask, axis), file.affine)


def _with_the_slice(mask: Array, axis: int) -> Array:
    """(X, Y) with an axis of length 1 at `axis`; of several maps (X, Y, 1, K) that axis is moved there."""
    if mask.ndim == 2:
        return refilled(mask, axis)
    return refilled(mask[:, :, 0], axis) if mask.ndim == 4 and mask.shape[2] == 1 and mask.shape[axis] != 1 else mask


def _like_nifti(mask: Array, source: Path, described: bytes) -> nib.Nifti1Image:
    image = open_nifti(source)
    axis = flat_axis(tuple(image.shape))
    if axis is not None:
        mask = _with_the_slice(mask, axis)
    spatial = min(3, mask.ndim)
    grid = tuple(image.shape)[:3]  # the fourth axis of an image holds its channels
    while len(grid) > spatial and grid[-1] == 1:
        grid = grid[:-1]
    grid += (1,) * (spatial - len(grid))  # a flat image with probabilities behind it
    if grid != mask.shape[:spatial]:
        raise DataError(
            f"{source}: the prediction has the grid {mask.shape}, expected the input's, {grid}; nothing was written"
        )
    header = image.header.copy()
    header.set_data_dtype(mask.dtype)
    header.set_data_shape(mask.shape)
    header["scl_slope"], header["scl_inter"], header["cal_min"], header["cal_max"] = 1, 0, 0, 0
    without_text(header)  # it may name the patient
    header["descrip"] = described
    # Without an affine nibabel leaves the forms of the header as they are.
    return type(image)(mask, None, header) if isinstance(image, nib.Nifti1Image) else nib.Nifti1Image(mask, None, header)


def smallest_integer(values: Sequence[int]) -> type[np.generic]:
    """The smallest integer type that holds all label values: uint8 where it can, as every viewer reads it."""
    low, high = min(values), max(values)
    for kind in (np.uint8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return kind
    return np.int64
