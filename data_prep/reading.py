"""The one place where image files are opened: NIfTI with nibabel, pictures with Pillow, MHA and NRRD with SimpleITK."""

from __future__ import annotations

from pathlib import Path

from data_prep.foreign import foreign_kind
from data_prep.itk import ATTACHED, DETACHED, NRRD, read_itk
from data_prep.itk_header import LONGEST_HEADER, read_header
from data_prep.nifti import read_nifti
from data_prep.nifti_open import open_nifti
from data_prep.pictures import PICTURES, read_picture
from data_prep.raw_bytes import read_bytes
from data_prep.volume import ReadError, Volume

NIFTI = (".nii", ".nii.gz")
ITK = ATTACHED + DETACHED
EXTENSIONS = NIFTI + PICTURES + ITK
TIFF, OME = (".tif", ".tiff"), ".ome"
LONGEST_FIRST = sorted(EXTENSIONS, key=len, reverse=True)
FOREIGN = {
    "dicom": "it is DICOM, of which folders are read and no single files",
    "archive": "it is an archive, which is not opened here",
}


def extension(path: Path) -> str | None:
    """The known extension a file name ends with, or None."""
    name = path.name.lower()
    return next((end for end in LONGEST_FIRST if name.endswith(end)), None)


def stem(path: Path) -> str:
    """The file name without its known extension: `a.b.nii.gz` -> `a.b`, and `a.ome.tif` -> `a`, as its mask is called."""
    end = extension(path)
    if end is None:
        return path.name
    name = path.name[: -len(end)]
    return name[: -len(OME)] if end in TIFF and name.lower().endswith(OME) else name


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
        if end in PICTURES:
            return read_picture(path, raw)
        if end in ITK:
            return read_itk(path, raw)
    except MemoryError as error:
        raise ReadError("too_large", "it does not fit into memory") from error
    raise ReadError("not_an_image", f"its name ends with none of {', '.join(EXTENSIONS)}")


def size_of(path: Path) -> tuple[int, ...] | None:
    """All sizes of a volume by its header alone, axes in its order; None for pictures, and without a sound header."""
    end = extension(path)
    try:
        if end in NIFTI:
            return tuple(int(size) for size in open_nifti(path).shape)
        if end in ITK:
            with path.open("rb") as file:
                return read_header(file.read(LONGEST_HEADER), nrrd=end in NRRD).shape
    except Exception:  # nibabel has many; who reads the voxels says what is wrong
        return None
    return None
