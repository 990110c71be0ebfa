"""Masks on the grid of the image they belong to: same shape, affine bit for bit, form codes kept, the user's label values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform

from data_prep.atomic import replace_file
from data_prep.disk import needing
from data_prep.on_grid import map_file, mask_file, smallest_integer
from data_prep.reading import stem
from data_prep.result_files import anything
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
            index = torch.as_tensor(d[key])[0].cpu().numpy()
            index = index if index.dtype.kind in "iu" else index.round().astype(int)
            mask = self.values.astype(self.dtype)[index]  # through whole numbers of eight bytes it takes twice as long
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
    content, path = mask_file(mask, source, target, affine, MASK)
    return _written(content, path)


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
    content, path = map_file(values, source, target, affine, MAP)
    return _written(content, path)


def _written(content: bytes, target: Path) -> Path:
    refuse_of_others(target, is_own)
    with needing(len(content), target):
        replace_file(target, lambda path: path.write_bytes(content), anything)
    return target


def refuse_of_others(target: Path, is_own: Callable[[Path], bool]) -> None:
    """Refuse to replace a file that prediction did not write; `is_own` knows such by their content.

    Raises:
        DataError: one is there.
    """
    if target.exists() and not is_own(target) and target.name not in written_here(target.parent):
        raise DataError(
            f"{target}: is there already, and was not written by prediction; nothing was written. Give another --output or "
            "--output-postfix"
        )
