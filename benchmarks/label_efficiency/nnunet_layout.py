"""Cases of a study in nnU-Net's raw layout, and the masks that it predicts for them.

Files are numbered in the order of the cases, so no name of a case or patient leaves the study.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from monai_hybrid.errors import DataError

NUMBER, NAME = 501, "Dataset501_Study"
FLAT = 999.0  # spacing of the axis that a slice does not have: nnU-Net puts the widest spacing first, and plans in 2D


def write_raw(
    folder: Path,
    training: Sequence[dict[str, Any]],
    test: Sequence[dict[str, Any]],
    names: Sequence[str],
    spacing: Sequence[float],
) -> None:
    """Write `imagesTr`, `labelsTr`, `imagesTs` and `dataset.json` into `folder`.

    Args:
        folder: made; nnU-Net wants its name to be `NAME`.
        training, test: items of a CaseStore: image (C, X, Y[, Z]) float32, label (1, X, Y[, Z]) class indices.
        names: of the classes 1..K-1.
        spacing: of the grid, in its units, X, Y[, Z].
    """
    affine = np.diag([*spacing, *[FLAT] * (3 - len(spacing)), 1.0])
    for part, items in (("Tr", training), ("Ts", test)):
        for number, item in enumerate(items):
            for channel, image in enumerate(np.asarray(item["image"], dtype=np.float32)):
                _save(folder / f"images{part}" / f"{_case(number)}_{channel:04d}.nii.gz", image, affine)
            if part == "Tr":
                _save(folder / "labelsTr" / f"{_case(number)}.nii.gz", np.asarray(item["label"])[0].astype(np.uint8), affine)
    content = {
        # No name that stands for a way to normalise: nnU-Net takes the mean and deviation of each image.
        "channel_names": {str(c): f"channel_{c}" for c in range(len(training[0]["image"]))},
        "labels": {"background": 0, **{name: k for k, name in enumerate(names, 1)}},
        "numTraining": len(training),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content, indent=1) + "\n")


def read_masks(folder: Path, items: Sequence[dict[str, Any]]) -> list[np.ndarray]:
    """Class index (X, Y[, Z]), uint8, of each test item, in the order in which `write_raw` took them.

    Raises:
        DataError: a mask is missing, or has another size than its image.
    """
    masks = []
    for number, item in enumerate(items):
        path, size = folder / f"{_case(number)}.nii.gz", tuple(item["image"].shape[1:])
        if not path.is_file():
            raise DataError(f"{path}: nnU-Net left no mask of {item['case_id']}; look into its output above")
        mask = np.asarray(nib.load(path).dataobj).astype(np.uint8)
        mask = mask[..., 0] if len(size) == 2 and mask.shape[2:] == (1,) else mask
        if mask.shape != size:
            raise DataError(f"{path}: {mask.shape} voxels, expected {size}, the size of its image")
        masks.append(mask)
    return masks


def _case(number: int) -> str:
    return f"case_{number:04d}"


def _save(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values[..., None] if values.ndim == 2 else values, affine), path)
