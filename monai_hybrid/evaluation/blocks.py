"""Volumes made small: the part around a mask, blocks of voxels as one voxel, grey values of a byte. Without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
MOST_VOXELS = 2**21
MARGIN = 0.35  # kept around the masks, in their longest extent
LEAST = 0.5  # share of the volume's longest side that stays at least


def surroundings(inside: Array, spacing: Sequence[float] | Array) -> tuple[slice, ...]:
    """The box around a mask (X, Y, Z) with a margin; everything where the mask is empty.

    Args:
        inside: bool.
        spacing: of each axis, in one unit.
    """
    if not inside.any():
        return (slice(None),) * inside.ndim
    lengths = np.asarray(inside.shape) * spacing
    places = [np.flatnonzero(inside.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    extents = [(found[-1] - found[0] + 1) * length for found, length in zip(places, spacing, strict=True)]
    side = max(max(extents) * (1 + 2 * MARGIN), LEAST * float(lengths.max()))
    window = []
    for found, size, length in zip(places, inside.shape, spacing, strict=True):
        wanted = min(size, max(1, round(side / length)))
        start = int(np.clip(round((found[0] + found[-1] + 1 - wanted) / 2), 0, size - wanted))
        window.append(slice(start, start + wanted))
    return tuple(window)


def steps(shape: Sequence[int], spacing: Sequence[float] | Array, most: int) -> tuple[int, int, int]:
    """How many voxels along each axis become one, so that at most `most` are left: always the shortest voxel grows.

    Args:
        shape: (X, Y, Z).
        spacing: lengths of a voxel along them, mm.
        most: voxels.
    """
    step = [1, 1, 1]
    while np.prod([-(-size // by) for size, by in zip(shape, step, strict=True)]) > most:
        lengths = [float(length) * by if size > by else np.inf for length, by, size in zip(spacing, step, shape, strict=True)]
        step[int(np.argmin(lengths))] += 1
    return step[0], step[1], step[2]


def averaged(array: Array, step: Sequence[int]) -> Array:
    """The mean of each block of `step` voxels of (X, Y, Z), float32; blocks that reach over the edge are filled up with it."""
    if tuple(step) == (1, 1, 1):
        return array
    full = np.pad(array, [(0, -size % by) for size, by in zip(array.shape, step, strict=True)], mode="edge")
    sizes = [part for size, by in zip(full.shape, step, strict=True) for part in (size // by, by)]
    blocks: Array = full.reshape(sizes).mean(axis=(1, 3, 5), dtype=np.float32)
    return blocks


def thinned(mask: Array, step: Sequence[int]) -> Array:
    """The voxel in the middle of each block of (X, Y, Z); labels are not averaged."""
    places = [np.minimum(np.arange(0, size, by) + by // 2, size - 1) for size, by in zip(mask.shape, step, strict=True)]
    return mask[np.ix_(*places)]


def grey(values: Array, bounds: Any) -> Array:
    """uint8 of the same shape: the two bounds become 0 and 255."""
    low, high = (float(bound) for bound in bounds)
    scaled = (values.astype(np.float64) - low) / (high - low) if high > low else np.zeros(values.shape)
    return np.ascontiguousarray((np.nan_to_num(scaled).clip(0, 1) * 255).round().astype(np.uint8))
