"""Voxels of a series: decoded plane by plane, rescaled slice by slice, whole numbers kept whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.dicom.codestream import Stream, check_codestream
from data_prep.dicom.library import quiet
from data_prep.dicom.names import shown_path
from data_prep.dicom.plane import UNCOMPRESSED, Plane
from data_prep.dicom.series import Series
from data_prep.dicom.values import whole as whole_number
from data_prep.nifti import MAX_BYTES, free_memory
from data_prep.volume import Affine, Array, ReadError


def read_series(series: Series) -> tuple[Array, Affine]:
    """Voxels and affine of a series.

    Returns:
        (X, Y, Z) = (columns, rows, slices): the first of int16, uint16 and int32 that holds all values where these are whole,
        float32 where they are not, float64 beyond; and the affine, (4, 4) float64, voxel -> RAS mm.

    Raises:
        ReadError: a file is cut off or damaged, no decoder is installed, or it does not fit into memory.
        EnvironmentFault: pydicom is not installed.
    """
    columns, rows, slices = series.shape
    if columns * rows * slices * 4 > min(MAX_BYTES, free_memory()):
        raise ReadError("too_large", f"it asks for {columns * rows * slices * 4 / 2**30:.1f} GiB (shape {series.shape})")
    whole = all(plane.slope.is_integer() and plane.intercept.is_integer() for plane in series.planes)
    voxels: Array = np.empty(series.shape, dtype=np.int16 if whole else np.float32, order="F")
    with quiet():
        reader = _Reader()
        for index, plane in enumerate(series.planes):
            values = _rescaled(reader.stored(plane), plane, whole).T
            voxels = _wide_enough(voxels, values)
            voxels[:, :, index] = values
    return (_unsigned(voxels) if voxels.dtype == np.int32 else voxels), series.affine


def _rescaled(stored: Array, plane: Plane, whole: bool) -> Array:
    """Stored values as measured, int64 where all are whole and no product overflows (see `values.LARGEST`), else float64."""
    if whole and stored.dtype.kind != "f" and stored.dtype.itemsize <= 4:
        return stored.astype(np.int64) * int(plane.slope) + int(plane.intercept)
    return stored.astype(np.float64) * plane.slope + plane.intercept


def _wide_enough(voxels: Array, values: Array) -> Array:
    """The voxels in a type that holds these values too; most series stay in int16, so that no second copy is made."""
    if voxels.dtype.kind == "f":
        return voxels
    low, high = (float(values.min()), float(values.max())) if values.dtype.kind == "i" else (-np.inf, np.inf)
    for dtype in (voxels.dtype, np.dtype(np.int32)):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return voxels.astype(dtype, copy=False)
    return voxels.astype(np.float64)


def _unsigned(voxels: Array) -> Array:
    low, high = int(voxels.min()), int(voxels.max())
    return voxels.astype(np.uint16) if low >= 0 and high < 2**16 else voxels


class _Reader:
    """Planes from files; a multi-frame file is opened once."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.frames: Any = None

    def stored(self, plane: Plane) -> Array:
        """Stored values, (rows, columns)."""
        if plane.frames == 1:
            array = _decoded(plane)
        else:
            if self.path != plane.file:
                self.path, self.frames = plane.file, _decoded(plane)
                if len(self.frames) != plane.frames:
                    raise ReadError("damaged", f"{_name(plane)}: it holds {len(self.frames)} frames of {plane.frames}")
            array = self.frames[plane.frame]
        if array.shape != (plane.rows, plane.columns):
            raise ReadError("damaged", f"{_name(plane)}: its pixels have the shape {array.shape}")
        return array


def _decoded(plane: Plane) -> Array:
    """Stored values of a whole file, (rows, columns) or (frames, rows, columns).

    Raises:
        ReadError: "no_decoder", or "damaged".
    """
    from pydicom import dcmread
    from pydicom.uid import UID

    try:
        if plane.syntax not in UNCOMPRESSED:
            require_decoder(plane.syntax)
        dataset = dcmread(plane.file, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = UID(plane.syntax)
        if plane.syntax not in UNCOMPRESSED:
            check_codestream(dataset, Stream(plane.rows, plane.columns, plane.samples, plane.bits), plane.frames)
        if "ModalityLUTSequence" in dataset:
            raise ReadError("damaged", "its pixels point into a table of values (ModalityLUTSequence), which is not supported")
        _check_bits(dataset)
        return np.asarray(dataset.pixel_array)
    except MemoryError:
        raise
    except ReadError as fault:
        raise ReadError(fault.kind, f"{_name(plane)}: {fault.seen}") from fault
    except Exception as error:  # pydicom and its decoders have no one error class; their words may quote the file
        raise ReadError("damaged", f"{_name(plane)}: its pixels cannot be decoded ({type(error).__name__})") from error


def _check_bits(dataset: Any) -> None:
    """Hold the bits of a value to their word; pydicom cuts off what lies above BitsStored, whatever HighBit says.

    Raises:
        ReadError: "damaged", they do not lie at the low end of the word, where PS3.5, section 8.1.1 has them.
    """
    if "PixelData" not in dataset:
        return  # floats have no such bits
    allocated = whole_number(dataset, "BitsAllocated", 16)
    bits = whole_number(dataset, "BitsStored", allocated)
    high = whole_number(dataset, "HighBit", bits - 1)
    if not 0 < bits <= allocated or high != bits - 1:
        raise ReadError("damaged", f"its header gives BitsStored {bits} and HighBit {high}, of {allocated} bits")


def require_decoder(syntax: str) -> None:
    """Ask whether something that is installed decodes a transfer syntax.

    Raises:
        ReadError: "no_decoder".
    """
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    try:
        there = get_decoder(UID(syntax)).is_available
    except NotImplementedError:
        there = False
    if not there:
        called = syntax if re.fullmatch(r"[\d.]{1,64}", syntax) else "(no UID)"
        raise ReadError("no_decoder", f"no installed decoder reads its transfer syntax {called}")


def _name(plane: Plane) -> str:
    return Path(shown_path(plane.file, plane.identifiers)).name
