"""Tiny BIDS data sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (8, 9, 7)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """Write a NIfTI file in mm, with both forms set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)
    return path


def grey(seed: int, shape: Sequence[int] = SHAPE) -> np.ndarray:
    """Grey values, another for each seed; brighter where `drawn` draws."""
    values = np.random.default_rng(seed).integers(0, 200, shape)
    return np.asarray(values + 300 * drawn(seed).astype(int), np.int16) if tuple(shape) == SHAPE else values.astype(np.int16)


def drawn(seed: int, values: Sequence[int] = (1, 2)) -> np.ndarray:
    """A label with a block of each value."""
    label = np.zeros(SHAPE, np.uint8)
    label[1:3, 2 : 5 + seed % 2, 1:4] = values[0]
    if len(values) > 1:
        label[4:7, 3:6, 2:5] = values[1]
    return label


def written(path: Path, text: str) -> Path:
    """A text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def described(root: Path, **more: object) -> Path:
    """A folder with dataset_description.json."""
    written(root / "dataset_description.json", json.dumps({"Name": "made up", "BIDSVersion": "1.10.0", **more}))
    return root


def pipeline(root: Path, name: str = "manual", names: str = "index\tname\n1\tnucleus\n2\tcortex\n") -> Path:
    """A folder of derivatives/, with a table of names."""
    folder = described(root / "derivatives" / name, DatasetType="derivative", GeneratedBy=[{"Name": name}])
    written(folder / "dseg.tsv", names)
    return folder


def image(root: Path, name: str, seed: int = 0, kind: str = "anat", array: np.ndarray | None = None) -> Path:
    """`sub-1_ses-a_T1w` at its place."""
    return nifti(_place(root, name, kind), grey(seed) if array is None else array)


def label(folder: Path, name: str, seed: int = 0, values: Sequence[int] = (1, 2)) -> Path:
    """`sub-1_ses-a_dseg` at its place."""
    return nifti(_place(folder, name, "anat"), drawn(seed, values))


def _place(root: Path, name: str, kind: str) -> Path:
    parts = dict(part.split("-", 1) for part in name.split("_") if "-" in part)
    session = [f"ses-{parts['ses']}"] if "ses" in parts else []
    return root.joinpath(f"sub-{parts['sub']}", *session, kind, f"{name}.nii.gz")


def simple(root: Path, subjects: int = 3) -> Path:
    """A T1w and a dseg for each subject."""
    described(root, DatasetType="raw")
    folder = pipeline(root)
    for number in range(1, subjects + 1):
        image(root, f"sub-{number:02d}_T1w", number)
        label(folder, f"sub-{number:02d}_dseg", number)
    return root
