"""Where the bad voxels are: how many, the first of them, and its place in mm."""

from __future__ import annotations

import numpy as np

from data_prep.checks.registry import Remark
from data_prep.geometry import is_invertible
from data_prep.volume import Array, Volume


def located(volume: Volume, bad: Array, message: str) -> Remark:
    """A remark with the number of bad voxels, the first one's index and its place.

    Args:
        volume: the image or label.
        bad: bool, of the shape of `volume.array`; at least one voxel is True.
        message: the sentence.
    """
    first = np.unravel_index(int(np.argmax(bad)), bad.shape)
    index = tuple(int(axis) for axis in first)
    return Remark(message, voxels=int(np.count_nonzero(bad)), index=index, mm=_place(volume, index))


def _place(volume: Volume, index: tuple[int, ...]) -> tuple[float, ...] | None:
    if volume.affine is None or not is_invertible(volume.affine):
        return None
    voxel = np.array([*index, 0, 0, 0][:3] if len(index) < 3 else index[:3], dtype=np.float64)
    return tuple(round(float(value), 2) for value in volume.affine[:3, :3] @ voxel + volume.affine[:3, 3])
