"""N4 bias field correction (Tustison et al., IEEE TMI 2010) with SimpleITK, written as copies of the images."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np

from data_prep.cases import Case
from data_prep.errors import DataError
from data_prep.itk import simple_itk
from data_prep.json_io import write_atomically
from data_prep.reading import read_volume
from data_prep.result_files import anything
from data_prep.volume import Array, Volume

SHRINK_FROM = 64  # axes of at least this many voxels are fitted on every second voxel: the field is smooth


def correct_case(case: Case, folder: Path) -> Case:
    """Write corrected copies of a case's images into `folder` as NIfTI and return the case that points to them.

    Raises:
        DataError: the images are not 3D.
        EnvironmentFault: SimpleITK is missing, or there is no space or no right to write.
    """
    paths = []
    for index, path in enumerate(case.images):
        volume = read_volume(path)
        if volume.affine is None or volume.spatial_dims != 3 or volume.channels != 1:
            raise DataError(f"{path}: shape {volume.array.shape}; --n4 expects a 3D MR image of one channel. Leave out --n4")
        target = folder / f"{case.case_id}_{index:04d}.nii.gz"
        write_atomically(target, _as_nifti(correct(volume.array, volume.spacing), volume), anything)
        paths.append(target)
    return replace(case, images=tuple(paths))


def correct(array: Array, spacing: tuple[float, ...]) -> Array:
    """Divide the image (X, Y, Z) by its bias field; same shape, float32. `spacing` in mm per axis.

    Raises:
        EnvironmentFault: SimpleITK is missing.
    """
    sitk = simple_itk()
    shift = max(0.0, -float(array.min()))  # N4 takes logarithms
    image = sitk.GetImageFromArray((array.astype(np.float32) + shift).T)
    image.SetSpacing(spacing)
    shrink = [2 if size >= SHRINK_FROM else 1 for size in array.shape]
    small = sitk.Shrink(image, shrink)
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.Execute(small, sitk.OtsuThreshold(small, 0, 1, 200))
    field = np.exp(sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image)).T)
    return ((array.astype(np.float32) + shift) / field - shift).astype(np.float32)


def _as_nifti(array: Array, volume: Volume) -> bytes:
    image = nib.Nifti1Image(array, volume.affine)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
