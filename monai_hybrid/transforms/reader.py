"""One reader for every image format that a data list may hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.data import ImageReader, NibabelReader, PILReader
from monai.utils import ensure_tuple
from PIL import Image

from monai_hybrid.errors import EnvironmentFault

ITK_SUFFIXES = (".mha", ".mhd", ".nrrd")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


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
        """Open one file, or several of the same grid as channels."""
        names = [str(name) for name in ensure_tuple(data)]
        if Path(names[0]).suffix.lower() in ITK_SUFFIXES:
            return [_read_itk(name) for name in names]
        return self._by(names[0]).read(data, **kwargs)

    def _by(self, name: str) -> ImageReader:
        return self.pillow if Path(name).suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp", ".tif") else self.nibabel

    def get_data(self, img: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """The array, channels stacked when there are several files, and its metadata with the RAS affine in mm."""
        first = img[0] if isinstance(img, Sequence) else img
        reader = self.pillow if isinstance(first, Image.Image) else self.nibabel
        array, meta = reader.get_data(img)
        return array, meta


def _read_itk(name: str) -> nib.Nifti1Image:
    """A SimpleITK image as nibabel has it: axes (X, Y, Z), affine to RAS instead of LPS."""
    try:
        import SimpleITK as sitk  # noqa: N813
    except ImportError as error:
        raise EnvironmentFault(f'{name}: needs SimpleITK: pip install "monai-hybrid[formats]"') from error
    image = sitk.ReadImage(name)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return nib.Nifti1Image(np.transpose(sitk.GetArrayFromImage(image)), LPS_TO_RAS @ affine)
