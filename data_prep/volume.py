"""One image or label in memory, with the facts of its header, and the reasons for which a file cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Affine = npt.NDArray[np.float64]
Array = npt.NDArray[Any]


class ReadError(Exception):
    """A file that cannot be read. `kind` selects the check that reports it, `seen` is the sentence for the user."""

    def __init__(self, kind: str, seen: str) -> None:
        super().__init__(seen)
        self.kind = kind
        self.seen = seen


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


@dataclass(frozen=True)
class Volume:
    """An image or label as stored, with its scale factor applied.

    Attributes:
        array: (X, Y) or (X, Y, Z), then possibly further axes, in the order of the file; PNG as (W, H).
        affine: 4 x 4, voxel index -> mm, RAS; None when the format has no geometry (PNG).
        pixel_type: type in the file, e.g. "uint8", "complex64", "RGB".
        digest: SHA-256 of the file's bytes.
        facts: NIfTI header, None for other formats.
    """

    path: Path
    array: Array
    affine: Affine | None
    pixel_type: str
    digest: str
    facts: NiftiFacts | None = None

    @property
    def spatial_dims(self) -> int:
        """2 or 3: axes beyond the third are never spatial."""
        return min(3, self.array.ndim)

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
        """Number of channels held in this one file (its fourth axis)."""
        return int(np.prod(self.array.shape[3:], dtype=int)) if self.array.ndim > 3 else 1

    def channel(self, index: int) -> Array:
        """The spatial array of one channel; (X, Y[, Z])."""
        return self.array if self.array.ndim <= 3 else self.array.reshape(*self.shape, -1)[..., index]
