"""The one place where image files are opened: NIfTI with nibabel, PNG with Pillow, MHA and NRRD with SimpleITK."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from types import ModuleType

import numpy as np

from data_prep.errors import EnvironmentFault
from data_prep.foreign import foreign_kind
from data_prep.nifti import read_nifti
from data_prep.volume import ReadError, Volume

NIFTI = (".nii", ".nii.gz")
PNG = (".png",)
ITK = (".mha", ".mhd", ".nrrd", ".nhdr")
EXTENSIONS = NIFTI + PNG + ITK
FOREIGN = {"dicom": "it is DICOM, which is not read here", "archive": "it is an archive, which is not opened here"}
_PNG_TYPES = {"L": "uint8", "I;16": "uint16", "I": "int32", "F": "float32", "1": "bool", "P": "palette"}


def extension(path: Path) -> str | None:
    """The known extension a file name ends with, or None."""
    name = path.name.lower()
    return next((end for end in sorted(EXTENSIONS, key=len, reverse=True) if name.endswith(end)), None)


def stem(path: Path) -> str:
    """The file name without its known extension: `a.b.nii.gz` -> `a.b`."""
    end = extension(path)
    return path.name[: -len(end)] if end else path.name


def read_volume(path: Path) -> Volume:
    """Read one image or label.

    Returns:
        Volume; see there for axes and units.

    Raises:
        ReadError: the file cannot be read as an image.
        EnvironmentFault: the format needs SimpleITK, which is not installed.
    """
    end = extension(path)
    kind = None if end else foreign_kind(path)
    if kind:
        raise ReadError(kind, FOREIGN[kind])
    raw = _bytes(path)
    try:
        if end in NIFTI:
            return read_nifti(path, raw)
        if end in PNG:
            return _read_png(path, raw)
        if end in ITK:
            return _read_itk(path, raw)
    except MemoryError as error:
        raise ReadError("too_large", "it does not fit into memory") from error
    raise ReadError("not_an_image", f"its name ends with none of {', '.join(EXTENSIONS)}")


def _bytes(path: Path) -> bytes:
    if not path.exists():
        raise ReadError("missing", "a link to a file that is not there" if path.is_symlink() else "there is no such file")
    if not path.is_file():
        raise ReadError("missing", "it is a folder or a special file; expected an image file")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ReadError("unreadable", f"the system says: {error.strerror}") from error
    if not raw:
        raise ReadError("empty", "it holds 0 bytes")
    return raw


def _read_png(path: Path, raw: bytes) -> Volume:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(raw), formats=["PNG"]) as picture:
            picture.load()
            mode, array = picture.mode, np.asarray(picture)
    except UnidentifiedImageError as error:
        raise ReadError("not_an_image", "it is not a PNG picture") from error
    except Image.DecompressionBombError as error:
        raise ReadError("too_large", str(error)) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ReadError("damaged", f"the PNG reader reports: {error}") from error
    if mode not in _PNG_TYPES:
        raise ReadError("voxel_type", f"it is a colour picture ({mode}); expected one grey value per pixel (mode L)")
    # (H, W) -> (W, H), as MONAI's PILReader does, so that both see the same axes
    return Volume(path, array.T, None, _PNG_TYPES[mode], hashlib.sha256(raw).hexdigest())


def simple_itk() -> ModuleType:
    """Import SimpleITK where it is needed.

    Raises:
        EnvironmentFault: it is not installed.
    """
    try:
        import SimpleITK
    except ImportError as error:
        raise EnvironmentFault(
            'MHA and NRRD files and --n4 need SimpleITK, which is not installed. Type: pip install "monai-hybrid[formats]"'
        ) from error
    return SimpleITK


def _read_itk(path: Path, raw: bytes) -> Volume:
    sitk = simple_itk()
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise ReadError("damaged", f"SimpleITK reports: {str(error).strip().splitlines()[-1]}") from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ReadError("voxel_type", f"it has {image.GetNumberOfComponentsPerPixel()} numbers per voxel; expected one")
    if image.GetDimension() not in (2, 3):
        raise ReadError("voxel_type", f"it has {image.GetDimension()} axes; expected 2 or 3")
    array = sitk.GetArrayFromImage(image).T  # SimpleITK gives (Z, Y, X)
    return Volume(path, array, ras_affine(image), str(array.dtype), hashlib.sha256(raw).hexdigest())


def ras_affine(image: object) -> np.ndarray:
    """ITK's direction, spacing and origin (LPS, mm) as a 4 x 4 RAS affine."""
    dims = image.GetDimension()  # type: ignore[attr-defined]
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(dims, dims)  # type: ignore[attr-defined]
    affine[:dims, :dims] = direction * np.array(image.GetSpacing())  # type: ignore[attr-defined]
    affine[:dims, 3] = image.GetOrigin()  # type: ignore[attr-defined]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
