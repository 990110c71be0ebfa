"""From the network's grid to the input's: one linear map an axis, because reorientation and resampling keep the axes apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from monai.data import MetaTensor
from monai.data.utils import to_affine_nd
from torch import Tensor

LARGEST_SKEW = 0.02  # voxels: how far an axis may stray over the whole image and still count as its own


@dataclass(frozen=True)
class AxisMap:
    """Linear interpolation along one axis: output voxel o lies between source voxels `low[o]` and `high[o]` = low or low + 1.

    Attributes:
        low, high: (N,) int64, clamped to the source.
        share: (N,) float32, weight of `high`.
    """

    low: Tensor
    high: Tensor
    share: Tensor

    @property
    def length(self) -> int:
        """N, voxels of the output."""
        return len(self.low)

    @cached_property
    def is_exact(self) -> bool:
        """Whether every output voxel is a source voxel, so that none needs two."""
        return not bool(self.share.any())

    @cached_property
    def _ends(self) -> np.ndarray:
        return self.high.numpy()

    @cached_property
    def _is_run(self) -> bool:
        """Whether the output voxels are source voxels one after the other."""
        return self.is_exact and bool((self.low.diff() == 1).all())

    def finished(self, start: int, stop: int) -> slice:
        """The output voxels whose last source voxel lies in [start, stop)."""
        places = np.flatnonzero((self._ends >= start) & (self._ends < stop))
        return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)

    def apply(self, source: Tensor, axis: int, wanted: slice, offset: int = 0) -> Tensor:
        """Interpolate `source`, whose first voxel along `axis` is source voxel `offset`, at the `wanted` output voxels."""
        if self._is_run:  # the usual case of equal grids costs nothing
            count = wanted.stop - wanted.start
            return source.narrow(axis, int(self._ends[wanted.start]) - offset if count else 0, count)
        low, high, share = (x[wanted] for x in (self.low - offset, self.high - offset, self.share))
        below = _taken(source, axis, low.to(source.device))
        if self.is_exact:
            return below
        shape = [-1 if i == axis else 1 for i in range(source.ndim)]
        weight = share.to(source.device, source.dtype).view(shape)
        return below.lerp_(_taken(source, axis, high.to(source.device)), weight.expand_as(below))


def _taken(source: Tensor, axis: int, places: Tensor) -> Tensor:
    """`source` at some places along an axis. On the last one `gather` takes half of `index_select`'s time, on others twice."""
    if axis < source.ndim - 1:
        return source.index_select(axis, places)
    return source.gather(axis, places.expand(*source.shape[:-1], -1))


@dataclass(frozen=True)
class GridMap:
    """Where the voxels of the input lie on the network's grid.

    Attributes:
        shape: voxels of the input.
        source_axis: for each axis of the input, the axis of the network's grid that it runs along.
        maps: for each axis of the input, its interpolation.
    """

    shape: tuple[int, ...]
    source_axis: tuple[int, ...]
    maps: tuple[AxisMap, ...]

    def along(self, axis: int) -> tuple[int, AxisMap]:
        """The input's axis that runs along `axis` of the network's grid, and its interpolation."""
        own = self.source_axis.index(axis)
        return own, self.maps[own]


def input_grid(image: MetaTensor) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape of the file that a preprocessed (C, X, Y[, Z]) image came from, and the affine: its voxels -> the image's."""
    dims = image.ndim - 1
    steps = [step for step in image.applied_operations if "orig_size" in step]
    shape = steps[0]["orig_size"] if steps else image.shape[1:]
    own = to_affine_nd(dims, np.asarray(image.affine, dtype=float))
    # A picture has no geometry: its own grid is that of its pixels.
    given = image.meta.get("original_affine", np.eye(4) if steps else own)
    original = to_affine_nd(dims, np.asarray(given, dtype=float))
    return tuple(int(n) for n in shape[-dims:]), np.linalg.solve(own, original)


def grid_map(source_shape: Sequence[int], shape: Sequence[int], affine: np.ndarray) -> GridMap | None:
    """Split an affine (input voxel -> network voxel) into one map an axis; None when it mixes the axes (shear).

    Positions outside the source take the nearest voxel, as MONAI's `Spacing` and its inverse do.
    """
    dims = len(shape)
    matrix = affine[:dims, :dims]
    axes = [int(np.abs(matrix[:, axis]).argmax()) for axis in range(dims)]
    if len(set(axes)) < dims:
        return None
    stray = np.abs(matrix) * (np.asarray(shape) - 1)
    stray[axes, range(dims)] = 0
    if stray.sum(axis=1).max() > LARGEST_SKEW:
        return None
    maps = []
    for axis, source in enumerate(axes):
        # Where the other axes stray by less than the tolerance, their mean counts.
        centre = (np.asarray(shape) - 1) / 2
        rest = affine[source, dims] + sum(matrix[source, o] * centre[o] for o in range(dims) if o != axis)
        maps.append(axis_map(matrix[source, axis] * np.arange(shape[axis]) + rest, source_shape[source]))
    return GridMap(tuple(shape), tuple(axes), tuple(maps))


def axis_map(positions: np.ndarray, length: int) -> AxisMap:
    """Linear interpolation at `positions` (N,), voxels, in a row of `length`; within 1e-4 of a voxel it is that voxel."""
    near = np.round(positions)
    exact = np.where(np.abs(positions - near) < 1e-4, near, positions).clip(0, length - 1)
    low = np.floor(exact).astype(np.int64)
    share = exact - low
    return AxisMap(torch.from_numpy(low), torch.from_numpy(low + (share > 0)), torch.from_numpy(share.astype(np.float32)))
