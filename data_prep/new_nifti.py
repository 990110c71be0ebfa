"""A NIfTI image that has no file to take its header from."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy.typing as npt


def new_nifti(voxels: npt.NDArray[Any], affine: npt.NDArray[Any]) -> nib.Nifti1Image:
    """The image of (X, Y, Z[, C]) voxels: both matrices are `affine` (voxel -> RAS mm), code 1 (scanner), lengths in mm."""
    image = nib.Nifti1Image(voxels, affine, dtype=voxels.dtype)  # said, so that 64-bit integers are taken
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return image
