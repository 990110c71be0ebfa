"""MHA, MHD, NRRD and NHDR: the one border before SimpleITK, which would follow a header to any file and allocate any size."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from data_prep.errors import EnvironmentFault
from data_prep.inflate import check_packed
from data_prep.itk_header import Stored, read_header
from data_prep.nifti import MAX_BYTES, free_memory
from data_prep.raw_bytes import read_bytes
from data_prep.this_python import install
from data_prep.volume import ReadError, Volume

ATTACHED = (".mha", ".nrrd")
DETACHED = (".mhd", ".nhdr")
NRRD = (".nrrd", ".nhdr")


def simple_itk() -> ModuleType:
    """Import SimpleITK where it is needed.

    Raises:
        EnvironmentFault: it is not installed.
    """
    try:
        import SimpleITK
    except ImportError as error:
        raise EnvironmentFault(
            "MHA and NRRD files, colours of 16 bits and --n4 need SimpleITK, which is not installed. "
            f"Type: {install('formats')}"
        ) from error
    return SimpleITK


def read_itk(path: Path, raw: bytes) -> Volume:
    """Read one image of one number a voxel; (X, Y[, Z]), affine to RAS in mm.

    Raises:
        ReadError: see `itk_image`; or several numbers a voxel, or other than 2 or 3 axes.
        EnvironmentFault: SimpleITK is not installed.
    """
    image, voxels = itk_image(path, raw)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ReadError("voxel_type", f"it has {image.GetNumberOfComponentsPerPixel()} numbers per voxel; expected one")
    if image.GetDimension() not in (2, 3):
        raise ReadError("voxel_type", f"it has {image.GetDimension()} axes; expected 2 or 3")
    array = simple_itk().GetArrayFromImage(image).T  # SimpleITK gives (Z, Y, X)
    return Volume(path, array, ras_affine(image), str(array.dtype), hashlib.sha256(raw + voxels).hexdigest())


def itk_image(path: Path, raw: bytes | None = None) -> tuple[Any, bytes]:
    """SimpleITK's image of a file whose header, size and checksums were held to account first, and the bytes of its data file.

    Args:
        path: the header.
        raw: its bytes, where they were read already.

    Raises:
        ReadError: no such header, voxels elsewhere, of another size, damaged, or larger than memory.
        EnvironmentFault: SimpleITK is not installed.
    """
    sitk = simple_itk()
    raw = read_bytes(path) if raw is None else raw
    nrrd = path.name.lower().endswith(NRRD)
    stored = read_header(raw, nrrd)
    beside = _beside(path, stored)
    sums = _check_voxels(stored, raw[stored.start :] if stored.data is None else beside)
    try:
        image = sitk.ReadImage(str(path), imageIO="NrrdImageIO" if nrrd else "MetaImageIO")
    except RuntimeError as error:
        raise ReadError("damaged", f"SimpleITK reports: {str(error).strip().splitlines()[-1]}") from error
    if image.GetNumberOfPixels() * image.GetNumberOfComponentsPerPixel() > stored.count:
        raise ReadError("not_an_image", f"SimpleITK reads the size {image.GetSize()}, its header says {stored.shape}")
    if not nrrd or image.GetNumberOfComponentsPerPixel() == 1:  # NRRD's reader moves the axis of components
        _check_read(image, sums)
    return image, beside


def _check_read(image: Any, sums: Sequence[int]) -> None:
    """MetaIO says nothing where it cannot unpack, and gives what lay in the memory: what was read is what was checked.

    Args:
        image: SimpleITK's.
        sums: CRC-32 of the stored voxels, as they may be placed; none: not known.

    Raises:
        ReadError: "damaged".
    """
    array = simple_itk().GetArrayViewFromImage(image)
    if not sums or zlib.crc32(array) in sums:
        return
    if array.dtype.itemsize == 1 or zlib.crc32(array.byteswap()) not in sums:
        raise ReadError("damaged", "SimpleITK reads other voxels than the file holds; MHA needs its CompressedDataSize")


def _beside(path: Path, stored: Stored) -> bytes:
    """The bytes of the data file beside a header; b"" where the voxels follow the header.

    Raises:
        ReadError: the format has its voxels in the header's file, or its data file is no file, or a link that leads away.
    """
    if stored.data is None:
        return b""
    if not path.name.lower().endswith(DETACHED):
        raise ReadError(
            "elsewhere", f"its voxels lie in {stored.data!r}; expected them in the file itself, or in one beside it"
        )
    data = path.parent / stored.data
    if data.resolve().parent != path.resolve().parent:
        raise ReadError("elsewhere", f"its data file {stored.data!r} is a link out of the folder; expected a file beside it")
    try:
        return read_bytes(data)
    except ReadError as error:
        raise ReadError(error.kind, f"its data file {stored.data!r}: {error.seen}") from error


def _check_voxels(stored: Stored, data: bytes) -> tuple[int, ...]:
    """CRC-32 of the voxels in the order of the file; of text none.

    Raises:
        ReadError: too large, cut off or damaged.
    """
    limit = min(MAX_BYTES, free_memory())
    if stored.size > limit:
        asked = f"{stored.size / 2**30:.1f} GiB (shape {list(stored.shape)})"
        raise ReadError("too_large", f"its header asks for {asked}; the limit is {limit / 2**30:.1f} GiB")
    if stored.length is not None and stored.length > len(data):
        raise ReadError("truncated", f"it holds {len(data)} packed bytes; its header says {stored.length}")
    if stored.packing in ("raw", "text"):
        if len(data) < stored.size:
            raise ReadError("truncated", f"it holds {len(data)} bytes of voxels; its header asks for {stored.size}")
        # MetaIO may count from the end of the file
        return () if stored.packing == "text" else (zlib.crc32(data[: stored.size]), zlib.crc32(data[-stored.size :]))
    return (check_packed(data[: stored.length], stored.packing, stored.size),)


def ras_affine(image: Any) -> np.ndarray:
    """ITK's direction, spacing and origin (LPS, mm) as a 4 x 4 RAS affine."""
    dims = image.GetDimension()
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(dims, dims)
    affine[:dims, :dims] = direction * np.array(image.GetSpacing())
    affine[:dims, 3] = image.GetOrigin()
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
