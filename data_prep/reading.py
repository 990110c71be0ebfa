"""The one place where image files are opened: NIfTI with nibabel, PNG with Pillow, MHA and NRRD with SimpleITK."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from data_prep.foreign import foreign_kind
from data_prep.itk import ATTACHED, DETACHED, read_itk
from data_prep.nifti import read_nifti
from data_prep.png_chunks import check_chunks
from data_prep.raw_bytes import read_bytes
from data_prep.volume import ReadError, Volume

NIFTI = (".nii", ".nii.gz")
PNG = (".png",)
ITK = ATTACHED + DETACHED
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
    raw = read_bytes(path)
    try:
        if end in NIFTI:
            return read_nifti(path, raw)
        if end in PNG:
            return _read_png(path, raw)
        if end in ITK:
            return read_itk(path, raw)
    except MemoryError as error:
        raise ReadError("too_large", "it does not fit into memory") from error
    raise ReadError("not_an_image", f"its name ends with none of {', '.join(EXTENSIONS)}")


def _read_png(path: Path, raw: bytes) -> Volume:
    from PIL import Image, UnidentifiedImageError

    try:
        check_chunks(raw)
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
