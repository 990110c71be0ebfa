"""A label that holds a part of its image's grid: cut out around its structures, as programs save it to spare room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data_prep.geometry import corner_distance, is_invertible
from data_prep.volume import Affine, Array, Volume
from data_prep.voxel_order import TOLERANCE, order_along


def on_whole_grid(image: Volume, label: Volume, from_corner: bool = False) -> Volume | None:
    """The label on the grid of its image, in its voxel order, 0 where the file has no voxel.

    Args:
        image: (X, Y, Z[, C]), affine voxel -> mm.
        label: (X, Y, Z) of another shape, whose voxels are voxels of the image: tolerance a tenth of the smallest edge.
        from_corner: a label may begin at the image's first voxel. Without, such a one counts as of a wrong size: which of its
            ends is missing cannot be told.

    Returns:
        None where it is no part of the grid, or would lose a voxel that is not 0.
    """
    if image.affine is None or label.affine is None or image.spatial_dims != 3 or label.array.ndim != 3:
        return None
    if not (is_invertible(image.affine) and is_invertible(label.affine)):
        return None
    order = order_along(image.affine, label.affine)
    if order is None:
        return None
    part, affine = order.array(label.array), order.affine(label.affine, label.shape)
    start = _start(image.affine, affine, part.shape)
    if start is None or not (from_corner or start.any()):
        return None
    low = np.maximum(start, 0)
    high = np.minimum(start + part.shape, image.shape)
    if (high <= low).any():
        return None
    inside = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
    whole: Array = np.zeros(image.shape, part.dtype)
    whole[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = part[inside]
    if np.count_nonzero(whole) < np.count_nonzero(part):
        return None
    return replace(label, array=whole, affine=image.affine, facts=None)


def _start(image: Affine, part: Affine, shape: tuple[int, ...]) -> Array | None:
    """The voxel of the image that is the part's first one, (3,) whole numbers; None where the grids do not meet."""
    start = np.rint(np.linalg.solve(image, part[:, 3])[:3])
    if not np.isfinite(start).all() or np.abs(start).max() > np.iinfo(np.int32).max:
        return None
    placed = image.copy()
    placed[:3, 3] = image[:3, :3] @ start + image[:3, 3]
    edge = float(np.linalg.norm(image[:3, :3], axis=0).min())
    return start.astype(np.int64) if corner_distance(placed, part, shape) <= TOLERANCE * edge else None
