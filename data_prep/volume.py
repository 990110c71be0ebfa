"""One image or label in memory, with the facts of its header, and the reasons for which a file cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.amounts import cells

Affine = npt.NDArray[np.float64]
Array = npt.NDArray[Any]


class ReadError(Exception):
    """A file that cannot be read. `kind` selects the check that reports it, `seen` is the sentence for the user.

    `file` is the one, where several were to be read.
    """

    def __init__(self, kind: str, seen: str, file: Path | None = None) -> None:
        super().__init__(seen)
        self.kind = kind
        self.seen = seen
        self.file = file


@dataclass(frozen=True)
class NiftiFacts:
    """What a NIfTI header says, before any library has repaired it. Matrices are voxel index -> mm, RAS."""

    qform_code: int
    sform_code: int
    qform: Affine | None  # None when the quaternion cannot be turned into a matrix
    sform: Affine
    pixdim: tuple[float, ...]  # as stored, spatial axes only
    units: str  # "mm", "micron", "meter" or "unknown"
    slope: float = 1.0  # scale factor as stored; 0 and 1 mean none
    surplus: int = 0  # bytes after the last voxel
    personal: tuple[str, ...] = ()  # places of the header that may name a patient


@dataclass(frozen=True)
class Volume:
    """An image or label as stored, with its scale factor applied.

    Attributes:
        array: (X, Y) or (X, Y, Z), then possibly further axes, in the order of the file; pictures as (W, H) or (W, H, 3).
        affine: 4 x 4, voxel index -> mm, RAS; None when the format has no geometry (pictures).
        pixel_type: type in the file, e.g. "uint8", "complex64", "palette".
        digest: SHA-256 of the file's bytes.
        facts: NIfTI header, None for other formats.
        dims: number of spatial axes where it is not the first two or three: 2 for a picture or a flat volume with channels.
        palette: colours of the indices, (256, 4) uint8 RGBA, of a picture with a colour table.
        grey: a picture that holds no colour, whatever its channels are.
        turn: EXIF orientation that was applied, 1 for none.
        flat_axis: the axis of length 1 that the file has and `array` has not; see `flat.flattened`.
    """

    path: Path
    array: Array
    affine: Affine | None
    pixel_type: str
    digest: str
    facts: NiftiFacts | None = None
    dims: int | None = None
    palette: Array | None = None
    grey: bool = False
    turn: int = 1
    flat_axis: int | None = None

    @property
    def spatial_dims(self) -> int:
        """2 or 3: axes beyond the third are never spatial."""
        return self.dims or min(3, self.array.ndim)

    @property
    def cells(self) -> str:
        """ "pixels" or "voxels"."""
        return cells(self.spatial_dims)

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape in voxels, axes as in the file."""
        return tuple(int(size) for size in self.array.shape[: self.spatial_dims])

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size in mm per axis of the file; 1 (pixel) where the format has no geometry."""
        if self.affine is None:
            return (1.0,) * self.spatial_dims
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return tuple(float(length) for length in lengths[: self.spatial_dims])

    @property
    def channels(self) -> int:
        """Number of channels held in this one file (its axes after the spatial ones)."""
        return int(np.prod(self.array.shape[self.spatial_dims :], dtype=int))

    def channel(self, index: int) -> Array:
        """The spatial array of one channel; (X, Y[, Z])."""
        return self.array if self.array.ndim == self.spatial_dims else self.array.reshape(*self.shape, -1)[..., index]
