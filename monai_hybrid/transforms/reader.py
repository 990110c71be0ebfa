"""One reader for every image format that a data list may hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.data import ImageReader, NibabelReader
from monai.data.utils import correct_nifti_header_if_necessary
from monai.utils import ensure_tuple

from data_prep.checks import run_checks
from data_prep.colour import Colour, parse_colour
from data_prep.flat import plane_affine
from data_prep.itk import itk_image, ras_affine, simple_itk
from data_prep.lack_of_memory import refuse_for_memory
from data_prep.nifti_open import open_nifti
from data_prep.pictures import is_picture
from data_prep.reading import ITK, extension
from data_prep.roles import read_image, read_label
from data_prep.volume import ReadError, Volume
from monai_hybrid.errors import DataError, HybridError


class CaseReader(ImageReader):
    """NIfTI by nibabel (sform first), pictures by the reader of `data_prep`, MHA and NRRD by SimpleITK.

    `LoadImaged` with several readers tries them in turn and logs each that fails; this one knows.

    Args:
        colour: which colours of a picture are the channels, as in dataset.json and on the card; None: one grey value a pixel.
        spatial_dims: of the network; 2 reads a volume of one slice as a picture. None or 3 leave it as it is.
        is_label: read masks, with one value a pixel, instead of images.
    """

    def __init__(
        self, colour: str | Sequence[str] | None = None, spatial_dims: int | None = None, is_label: bool = False
    ) -> None:
        super().__init__()
        self.colour: Colour = parse_colour(colour, "colour:")
        self.flat, self.is_label = spatial_dims == 2, is_label
        self.nibabel = NibabelReader()

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
            refuse_for_memory(error, ", ".join(img))
            reason = " ".join((str(error) or type(error).__name__).split())[:300]
            raise DataError(f"{', '.join(img)}: cannot be read as an image ({reason})") from error
        return array, meta

    def _open(self, names: list[str]) -> Any:
        paths = [Path(name) for name in names]
        if is_picture(paths[0]):
            return _as_monai([self._read(path) for path in paths])
        self.nibabel.filenames = names  # what its own `read` would have kept
        if extension(paths[0]) not in ITK:
            array, meta = self.nibabel.get_data([correct_nifti_header_if_necessary(open_nifti(path)) for path in paths])
        else:
            array, meta = self.nibabel.get_data([_read_itk(name) for name in names])
        if self.flat and len(meta["spatial_shape"]) == 3 and 1 in meta["spatial_shape"]:
            volumes = [self._read(path) for path in paths]
            if all(volume.flat_axis is not None for volume in volumes):
                return _as_monai(volumes)
        if self.flat and len(meta["spatial_shape"]) == 2 and _is_tilted(meta["affine"]):
            return _as_monai([self._read(path) for path in paths])
        return array, meta

    def _read(self, path: Path) -> Volume:
        try:
            return read_label(path, self.flat) if self.is_label else read_image(path, self.colour, self.flat)
        except ReadError as fault:
            findings = run_checks("fault", fault, file=str(path))
            remedy = f". {findings[0].remedy}" if findings else ""
            raise DataError(f"{path}: cannot be read as an image ({fault.seen}){remedy}") from fault


def _is_tilted(affine: Any) -> bool:
    """Whether a picture's axes leave the plane of the first two of the world: MONAI would take them for shorter."""
    columns = np.asarray(affine, dtype=float)[:-1, :2]
    return not np.allclose(np.linalg.norm(columns, axis=0), np.linalg.norm(columns[:2], axis=0), rtol=1e-3)


def _as_monai(volumes: Sequence[Volume]) -> tuple[np.ndarray, dict[str, Any]]:
    """What MONAI's readers give: the array (X, Y), (X, Y, C), or (files, X, Y), and its metadata."""
    first = volumes[0]
    if any(volume.shape != first.shape for volume in volumes):
        raise DataError(f"{first.path}: its channel files have other shapes; expected {first.shape}")
    meta: dict[str, Any] = {"spatial_shape": np.asarray(first.shape), "original_channel_dim": float("nan")}
    if first.affine is not None:
        meta |= {"affine": plane_affine(first), "original_affine": plane_affine(first), "space": "RAS"}
    if len(volumes) > 1:
        return np.stack([volume.array for volume in volumes]), {**meta, "original_channel_dim": 0}
    array = first.array
    return array, {**meta, "original_channel_dim": -1} if array.ndim > first.spatial_dims else meta


def _read_itk(name: str) -> nib.Nifti1Image:
    """A SimpleITK image as nibabel has it: axes (X, Y, Z), affine to RAS instead of LPS."""
    image, _ = itk_image(Path(name))
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(f"{name}: got {image.GetNumberOfComponentsPerPixel()} numbers per voxel, expected one")
    array = np.transpose(simple_itk().GetArrayFromImage(image))
    return nib.Nifti1Image(array, ras_affine(image), dtype=array.dtype)  # without dtype nibabel refuses 64-bit labels
