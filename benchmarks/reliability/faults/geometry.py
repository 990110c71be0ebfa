"""Group B: geometry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.reliability.faults.registry import ACCEPTED, Fault, broken, on_both, on_image
from benchmarks.reliability.tiny import SHAPE, affine, bomb, cube, edit_header, noise, save


def _pair(root: Path, grid: np.ndarray, shape: Sequence[int] = SHAPE) -> None:
    save(root / "images" / "case_a.nii.gz", noise(shape, 9), grid)
    save(root / "labels" / "case_a.nii.gz", cube(shape), grid)


def _turned(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    grid = affine((1, 2, 3), (5, -6, 7))
    grid[:2, :2] = [[np.cos(angle), -2 * np.sin(angle)], [np.sin(angle), 2 * np.cos(angle)]]
    return grid


def _nifti2(path: Path) -> None:
    nib.Nifti2Image(noise(seed=9), np.eye(4)).to_filename(path)


def _sizes(size: float) -> dict[str, object]:
    return {"pixdim": [1, 1, size, 1, 0, 0, 0, 0], "sform_code": 0}


HUGE = [3, 30000, 30000, 30000, 1, 1, 1, 1]

FAULTS = [
    Fault("B01", "neither sform nor qform", "D103", on_both(lambda p: edit_header(p, sform_code=0, qform_code=0))),
    Fault("B02", "forms disagree: left-right", "D104", on_image(lambda p: save(p, noise(), qform=affine((-1, 1, 1))))),
    Fault("B02", "forms disagree: spacing", "D104", on_image(lambda p: save(p, noise(), qform=affine((1.5, 1, 1))))),
    Fault(
        "B02",
        "forms disagree: place",
        "D105",
        on_image(lambda p: save(p, noise(), qform=affine(shift=(3, 0, 0)))),
        message=r"3\.00 mm apart; tolerance 0\.10 mm",
    ),
    Fault("B03", "voxel size zero", "D101", on_image(lambda p: edit_header(p, **_sizes(0)))),
    Fault(
        "B03", "voxel size zero beside an sform", "D101", on_image(lambda p: edit_header(p, pixdim=[1, 1, 0, 1, 0, 0, 0, 0]))
    ),
    Fault("B04", "voxel size negative", "D101", on_image(lambda p: edit_header(p, **_sizes(-1)))),
    Fault("B05", "voxel size NaN", "D101", on_image(lambda p: edit_header(p, **_sizes(np.nan)))),
    Fault("B06", "singular affine", "D102", on_image(lambda p: edit_header(p, srow_x=[0, 0, 0, 0]))),
    Fault("B07", "NaN in the affine", "D102", on_image(lambda p: edit_header(p, srow_x=[np.nan, 0, 0, 0]))),
    Fault("B08", "sheared affine", "D106", broken(lambda r: _pair(r, affine(shear=0.2))), message="11.3 degrees"),
    Fault("B09", "oblique affine", ACCEPTED, broken(lambda r: _pair(r, _turned(20)))),
    Fault("B10", "2D image among 3D", "D408", broken(lambda r: _pair(r, affine(), SHAPE[:2]))),
    Fault("B11", "one slice thick", "D110", broken(lambda r: _pair(r, affine(), (8, 9, 1))), message="one slice"),
    Fault("B12", "4D image", "D109", on_image(lambda p: save(p, noise((*SHAPE, 3)))), message=r"\(8, 9, 10, 3\)"),
    Fault("B12", "5D vector image", "D109", on_image(lambda p: save(p, noise((*SHAPE, 1, 3))))),
    Fault("B13", "trailing axes of length 1: 5D", "D111", on_image(lambda p: save(p, noise((*SHAPE, 1, 1))))),
    Fault("B13", "trailing axis of length 1: 4D", ACCEPTED, on_image(lambda p: save(p, noise((*SHAPE, 1))))),
    Fault("B14", "left-handed affine", ACCEPTED, broken(lambda r: _pair(r, affine((-1, 1, 1))))),
    Fault("B15", "voxels of 0.01 mm", "D107", broken(lambda r: _pair(r, affine((0.01, 0.01, 0.01)))), message="0.02 to 100 mm"),
    Fault("B15", "voxels of 0.05 mm", ACCEPTED, broken(lambda r: _pair(r, affine((0.05, 0.05, 0.05))))),
    Fault("B16", "voxels of 400 mm", "D107", broken(lambda r: _pair(r, affine((400, 1, 1)))), message="0.02 to 100 mm"),
    Fault("B16", "voxels of 17.5 mm", ACCEPTED, broken(lambda r: _pair(r, affine((1, 1, 17.5))))),
    Fault("B17", "unit of length micrometre", "D108", on_image(lambda p: edit_header(p, xyzt_units=3)), message="micron"),
    Fault("B18", "header asks for 30000^3 voxels", "D007", on_image(lambda p: edit_header(p, dim=HUGE)), message="GiB"),
    Fault("B18", "gzip bomb of 9 GiB", "D007", on_image(lambda p: bomb(p, 9 * 1024)), message="9.0 GiB"),
    Fault("B19", "big-endian", ACCEPTED, on_image(lambda p: save(p, noise(seed=9).astype(">i2")))),
    Fault("B19", "NIfTI-2", ACCEPTED, on_image(_nifti2)),
    Fault("B20", "64-bit integers", ACCEPTED, on_both(lambda p: save(p, _wide(p)))),
]


def _wide(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj).astype(np.int64)
