"""Masks on the grid of the image they belong to: same shape, affine bit for bit, form codes kept, the user's label values."""

from __future__ import annotations

import gzip
import io
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.transforms import MapTransform
from PIL.PngImagePlugin import PngInfo

from data_prep.atomic import replace_file
from data_prep.disk import needing
from data_prep.flat import flat_axis, refilled
from data_prep.header_text import without_text
from data_prep.nifti_open import open_nifti
from data_prep.pictures import is_picture, png_mask
from data_prep.reading import NIFTI, extension, read_volume
from data_prep.scans import MADE_HERE, is_own, written_here
from monai_hybrid.errors import DataError

MASK, MAP = b"segmentation " + MADE_HERE, b"map in [0, 1] " + MADE_HERE


class SaveOnInputGridd(MapTransform):
    """Write predicted masks as `<case_id>_<postfix>.nii.gz` (or .png) under `output_dir`.

    MONAI's SaveImaged writes form codes 1/1 and a fresh affine whatever the input had; viewers that prefer the qform then show
    mask and image apart. Here the header of the input file is kept and only what describes the voxels is changed.

    Args:
        keys: predictions, (1, X, Y[, Z]) class index on the input's grid, as MONAI's Invertd leaves them.
        output_dir: made when it is missing.
        label_values: the user's own value of each class index.
        output_postfix: appended to the case id.

    Raises:
        DataError: the prediction is not on the input's grid; nothing is written then.
    """

    def __init__(self, keys: Any, output_dir: str, label_values: Sequence[int], output_postfix: str = "seg") -> None:
        super().__init__(keys)
        self.folder, self.postfix = Path(output_dir), output_postfix
        self.values = np.asarray(label_values)
        self.dtype = smallest_integer(label_values)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write each key; the path is added as "<key>_file"."""
        d = dict(data)
        for key in self.key_iterator(d):
            source = Path(d[key].meta["filename_or_obj"])
            index = torch.as_tensor(d[key])[0].cpu().numpy().round().astype(int)
            mask = self.values[index].astype(self.dtype)
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{d.get('case_id', stem(source))}_{self.postfix}"
            affine = np.asarray(d[key].meta.get("original_affine", np.eye(4)), dtype=float)
            d[f"{key}_file"] = str(write_mask(mask, source, self.folder / name, affine))
        return d


def write_mask(mask: np.ndarray, source: Path, target: Path, affine: np.ndarray) -> Path:
    """Write (X, Y[, Z]) integers on the grid of `source`; returns the path with its suffix.

    NIfTI keeps the header of `source` (and its kind, NIfTI-1 or 2); pictures become PNG, which loses nothing; other formats
    become NIfTI with `affine`. A mask (X, Y) of a volume of one slice gets that slice's axis back.

    Raises:
        DataError: the mask has another grid, or values that PNG cannot hold; nothing is written then.
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
        told.add_text("Description", MASK.decode())
        picture.save(content, format="PNG", pnginfo=told)
        return _written(content.getvalue(), target)
    target = target.with_name(target.name + ".nii.gz")
    if kind not in NIFTI and mask.ndim == 2:
        mask, affine = _like_flat(mask, source, affine)
    volume = _like_nifti(mask, source) if kind in NIFTI else nib.Nifti1Image(mask, affine, dtype=mask.dtype)
    volume.header["descrip"] = MASK
    return _written(gzip.compress(volume.to_bytes(), compresslevel=6, mtime=0), target)


def _like_flat(mask: np.ndarray, source: Path, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A mask (X, Y, ...) and its affine on the grid of an MHA or NRRD file that may have one slice."""
    file = read_volume(source)
    axis = flat_axis(file.shape)
    return (mask, affine) if axis is None or file.affine is None else (_with_the_slice(mask, axis), file.affine)


def _with_the_slice(mask: np.ndarray, axis: int) -> np.ndarray:
    """(X, Y) with an axis of length 1 at `axis`; of several maps (X, Y, 1, K) that axis is moved there."""
    if mask.ndim == 2:
        return refilled(mask, axis)
    return refilled(mask[:, :, 0], axis) if mask.ndim == 4 and mask.shape[2] == 1 and mask.shape[axis] != 1 else mask


def _like_nifti(mask: np.ndarray, source: Path, described: bytes = MASK) -> nib.Nifti1Image:
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


class SaveMapsd(MapTransform):
    """Write `<case_id>_<key>.nii.gz` for maps in [0, 1] held as uint16, 65535 = 1; missing keys are passed over.

    NIfTI has no 16-bit float, so the file holds the integers and `scl_slope` = 1/65535, which every reader applies. Axes:
    (X, Y[, Z]) for a map of one channel, (X, Y, Z, K) for several (2D: Z = 1), in the order of the model's labels.

    Args:
        keys: maps, (1 or K, X, Y[, Z]) uint16 on the input's grid.
        output_dir: made when it is missing.

    Raises:
        DataError: a map is not on the input's grid; nothing is written then.
    """

    def __init__(self, keys: Any, output_dir: str) -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.folder = Path(output_dir)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write each key that is there; the path is added as "<key>_file"."""
        d = dict(data)
        for key in self.key_iterator(d):
            source = Path(d[key].meta["filename_or_obj"])
            channels = torch.as_tensor(d[key]).numpy()
            if len(channels) > 1 and channels.ndim == 3:
                channels = channels[..., None]
            values = np.moveaxis(channels, 0, -1) if len(channels) > 1 else channels[0]
            affine = np.asarray(d[key].meta.get("original_affine", np.eye(4)), dtype=float)
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{d.get('case_id', stem(source))}_{key}"
            d[f"{key}_file"] = str(write_map(values, source, self.folder / name, affine))
        return d


def write_map(values: np.ndarray, source: Path, target: Path, affine: np.ndarray) -> Path:
    """Write uint16 (X, Y[, Z[, K]]), 65535 = 1, as NIfTI on the grid of `source`; returns the path with its suffix."""
    target = target.with_name(target.name + ".nii.gz")
    if extension(source) in NIFTI:
        volume = _like_nifti(values, source, MAP)
    else:
        if not is_picture(source) and (values.ndim == 2 or values.shape[2] == 1):
            values, affine = _like_flat(values, source, affine)
        volume = nib.Nifti1Image(values, affine if affine.shape == (4, 4) else np.eye(4))
        volume.header["descrip"] = MAP
    volume.header.set_slope_inter(1 / 65535, 0)
    return _written(gzip.compress(volume.to_bytes(), compresslevel=6, mtime=0), target)


def _written(content: bytes, target: Path) -> Path:
    if target.exists() and not is_own(target) and target.name not in written_here(target.parent):
        raise DataError(
            f"{target}: is there already, and was not written by prediction; nothing was written. Give another --output or "
            "--output-postfix"
        )
    with needing(len(content), target):
        replace_file(target, lambda path: path.write_bytes(content))
    return target


def smallest_integer(values: Sequence[int]) -> type[np.generic]:
    """The smallest integer type that holds all label values: uint8 where it can, as every viewer reads it."""
    low, high = min(values), max(values)
    for kind in (np.uint8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return kind
    return np.int64


def stem(path: Path) -> str:
    """File name without its image suffix."""
    known = extension(path)
    return path.name[: -len(known)] if known else path.stem
