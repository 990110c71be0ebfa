"""Affines: order of axes, distance between two grids, shear. Affines are 4 x 4, voxel index -> mm, RAS."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import TypeVar

import nibabel as nib
import numpy as np

from data_prep.volume import Affine, Volume

Number = TypeVar("Number", int, float)


def is_invertible(affine: Affine) -> bool:
    """True when the affine is finite and its three axes span the space (determinant not zero, relative to length)."""
    matrix = affine[:3, :3]
    if not np.isfinite(affine).all():
        return False
    volume = float(np.prod(np.linalg.norm(matrix, axis=0)))
    return volume > 0 and abs(float(np.linalg.det(matrix))) > 1e-6 * volume


def corner_distance(first: Affine, second: Affine, shape: Sequence[int]) -> float:
    """Largest distance in mm between the positions two affines give to the same corner voxel of `shape`."""
    ends = [(0, size - 1) for size in (*shape, 1, 1)[:3]]
    corners = np.array([(*corner, 1) for corner in product(*ends)], dtype=np.float64)
    return float(np.linalg.norm(corners @ (first - second).T, axis=1).max())


def largest_cosine(affine: Affine) -> float:
    """Largest |cosine| between two axes: 0 for a rectangular grid, sin(shear angle) otherwise."""
    matrix = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(matrix.T @ matrix - np.eye(3)).max())


def axis_letters(affine: Affine) -> str:
    """Three letters such as "RAS" or "PSR": the direction in which each axis grows. The axes span the space."""
    return _letters(np.ascontiguousarray(affine[:3, :3], dtype=np.float64).tobytes())


@lru_cache(maxsize=1024)
def _letters(matrix: bytes) -> str:
    """Kept, since several checks ask of each file, and the files of a scanner lie alike: a fifth of the time of small files."""
    affine = np.eye(4)
    affine[:3, :3] = np.frombuffer(matrix).reshape(3, 3)
    return "".join(str(letter) for letter in nib.aff2axcodes(affine))


def orientation(volume: Volume) -> str | None:
    """Three letters such as "RAS" or "PSR" (direction in which each axis grows); None for 2D."""
    if volume.affine is None or volume.spatial_dims != 3 or not is_invertible(volume.affine):
        return None
    return axis_letters(volume.affine)


def ras_axes(volume: Volume) -> tuple[int, ...]:
    """For each axis of the file the RAS axis it runs along; in 2D its own.

    A PSR file's first axis runs from back to front, so the first number is 1.
    """
    if orientation(volume) is None or volume.affine is None:
        return tuple(range(volume.spatial_dims))
    return tuple(int(axis) for axis in nib.io_orientation(volume.affine)[:, 0])


def in_ras_order(volume: Volume, per_axis: Sequence[Number]) -> tuple[Number, ...]:
    """Numbers per axis of the file, reordered to right-left, posterior-anterior, inferior-superior; 2D unchanged."""
    ordered = dict(zip(ras_axes(volume), per_axis, strict=True))
    return tuple(ordered[axis] for axis in range(volume.spatial_dims))
