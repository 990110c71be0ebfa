"""One reader for every image format that a data list may hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.data import ImageReader, NibabelReader, PILReader
from monai.utils import ensure_tuple

from data_prep.itk import itk_image, ras_affine, simple_itk
from data_prep.reading import ITK, PNG, extension
from monai_hybrid.errors import DataError, HybridError


class CaseReader(ImageReader):
    """NIfTI by nibabel (sform first), PNG by Pillow, MHA and NRRD by SimpleITK.

    `LoadImaged` with several readers tries them in turn and logs each that fails; this one knows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.nibabel, self.pillow = NibabelReader(), PILReader()

    def verify_suffix(self, filename: Any) -> bool:
        """Everything is tried: what cannot be read is named by its own library."""
        return True

    def read(self, data: Any, **kwargs: Any) -> Any:
        """Name one file, or several of the same grid as channels; `get_data` opens them, as `LoadImage` hides errors here."""
        return tuple(str(name) for name in ensure_tuple(data))

    def get_data(self, img: Sequence[str]) -> tuple[np.ndarray, dict[str, Any]]:
        """The array, channels stacked when there are several files, and its metadata with the RAS affine in mm.

        Raises:
            DataError: a file is missing or damaged.
            EnvironmentFault: the format needs SimpleITK, which is not installed.
        """
        try:
            array, meta = self._open(list(img))
        except HybridError:
            raise
        except Exception as error:  # each library has its own
            reason = " ".join((str(error) or type(error).__name__).split())[:300]
            raise DataError(f"{', '.join(img)}: cannot be read as an image ({reason})") from error
        return array, meta

    def _open(self, names: list[str]) -> Any:
        kind = extension(Path(names[0]))
        if kind in PNG:
            return self.pillow.get_data(self.pillow.read(names))
        if kind not in ITK:
            return self.nibabel.get_data(self.nibabel.read(names))
        self.nibabel.filenames = names  # what its own `read` would have kept
        return self.nibabel.get_data([_read_itk(name) for name in names])


def _read_itk(name: str) -> nib.Nifti1Image:
    """A SimpleITK image as nibabel has it: axes (X, Y, Z), affine to RAS instead of LPS."""
    image, _ = itk_image(Path(name))
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(f"{name}: got {image.GetNumberOfComponentsPerPixel()} numbers a voxel, expected one")
    array = np.transpose(simple_itk().GetArrayFromImage(image))
    return nib.Nifti1Image(array, ras_affine(image), dtype=array.dtype)  # without dtype nibabel refuses 64-bit labels
