"""The same grid with its voxels stored in another order: axes exchanged or reversed, every voxel at its place in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_prep.geometry import corner_distance, is_invertible
from data_prep.volume import Affine, Array, Volume

TOLERANCE = 0.1  # of the smallest voxel edge: what a resampling by nearest neighbour cannot notice


@dataclass(frozen=True)
class VoxelOrder:
    """How to store an array in another order: `axes[i]` becomes axis i, then the axes in `flips` are reversed."""

    axes: tuple[int, int, int]
    flips: tuple[int, ...]

    def array(self, values: Array) -> Array:
        """The same voxels in the new order, a view: (X, Y[, Z]), or with further axes behind, which stay."""
        dims = min(3, values.ndim)
        turned = values.transpose(*self.axes[:dims], *range(dims, values.ndim))
        return np.flip(turned, tuple(axis for axis in self.flips if axis < dims))

    def affine(self, affine: Affine, shape: Sequence[int]) -> Affine:
        """The affine (4, 4) of the new order, for voxels that had `affine` and the spatial `shape`."""
        sizes, step = (*shape, 1, 1)[:3], np.zeros((4, 4))
        step[3, 3] = 1
        for new, old in enumerate(self.axes):
            step[old, new] = -1 if new in self.flips else 1
            step[old, 3] = sizes[old] - 1 if new in self.flips else 0
        return np.asarray(affine @ step)


def order_of(image: Affine, image_shape: Sequence[int], other: Affine, other_shape: Sequence[int]) -> VoxelOrder | None:
    """How to bring `other` into the voxel order of `image`.

    Args:
        image, other: affines (4, 4), voxel index -> mm.
        image_shape, other_shape: spatial shapes, 2 or 3 numbers.

    Returns:
        None when the order is the same already, or when the two are not one grid: tolerance a tenth of the smallest edge.
    """
    if len(image_shape) != len(other_shape) or not (is_invertible(image) and is_invertible(other)):
        return None
    order = order_along(image, other)
    if order is None or (order.axes == (0, 1, 2) and not order.flips):
        return None
    if max(order.axes[: len(image_shape)]) >= len(image_shape):
        return None
    if tuple((*other_shape, 1)[axis] for axis in order.axes)[: len(image_shape)] != tuple(image_shape):
        return None
    away = corner_distance(image, order.affine(other, other_shape), image_shape)
    return order if away <= TOLERANCE * float(np.linalg.norm(image[:3, :3], axis=0).min()) else None


def order_along(image: Affine, other: Affine) -> VoxelOrder | None:
    """The order in which axes of `other` run along those of `image`, both invertible (4, 4); None where they run askew."""
    turn = np.rint(np.linalg.solve(image, other)[:3, :3])  # index steps of `other` in index steps of `image`
    if not np.array_equal(np.abs(turn) @ np.abs(turn).T, np.eye(3)):  # no signed permutation
        return None
    axes = tuple(int(axis) for axis in np.abs(turn).argmax(axis=1))
    return VoxelOrder((axes[0], axes[1], axes[2]), tuple(new for new, old in enumerate(axes) if turn[new, old] < 0))


def order_of_volumes(image: Volume, other: Volume) -> VoxelOrder | None:
    """As `order_of`; None for formats without geometry."""
    if image.affine is None or other.affine is None:
        return None
    return order_of(image.affine, image.shape, other.affine, other.shape)


def in_order_of(image: Volume, other: Volume) -> Volume:
    """`other` with its voxels in the order of `image`, where they are one grid; else `other` as it is."""
    order = order_of_volumes(image, other)
    if order is None or other.affine is None:
        return other
    return replace(other, array=order.array(other.array), affine=order.affine(other.affine, other.shape))
