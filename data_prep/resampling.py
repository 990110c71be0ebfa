"""From the grid of a file to a coarser or finer one and back: the numbers that training, prediction and the ceiling share.

Axes are kept apart: each is a sparse matrix from the voxels of one grid to those of the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from data_prep.ignoring import IGNORED
from data_prep.volume import Array

AREA, SAMPLE = "area", "sample"
# Linear interpolation on the way back rounds thin lines off. With less than half the loss is least, see
# docs/results/notes/resampling.md. Where nothing gets coarser there is nothing to make up for.
FOREGROUND, HALF = 0.4, 0.5
TIE = 1e-4  # of a share: rounding in float32 must not decide
SAME = 1e-3  # of the factor: closer to 1 than that, nothing is resampled
Positions = npt.NDArray[np.float64]


def new_size(length: int, factor: float) -> int:
    """Voxels of an axis of `length` voxels when each is `factor` times as long: at least one."""
    if abs(factor - 1) < SAME:
        return length
    return max(1, round(length / factor))


def centres(length: int, size: int, factor: float) -> Positions:
    """Centres of the `size` new voxels in voxels of the old axis, (size,) float64: both grids have the same centre.

    So a whole factor joins whole voxels, and what is symmetric in the image stays symmetric.
    """
    if abs(factor - 1) < SAME and size == length:
        return np.arange(length, dtype=np.float64)
    return (length - 1) / 2 + factor * (np.arange(size, dtype=np.float64) - (size - 1) / 2)


def shares(length: int, positions: Positions, width: float) -> csr_array:
    """The share of each old voxel in a box of `width` old voxels around each position; a matrix (positions, length), float32.

    A box of one voxel is linear interpolation. Outside the image its nearest voxel counts.

    Args:
        length: voxels of the old axis.
        positions: (N,) in voxels, 0 = centre of the first.
        width: of the box in voxels; below 1 it counts as 1.
    """
    width = max(width, 1.0)
    first = np.floor(positions - width / 2 + 0.5).astype(np.int64)
    cells = first[:, None] + np.arange(int(np.ceil(width)) + 1)
    low = np.maximum(cells - 0.5, (positions - width / 2)[:, None])
    high = np.minimum(cells + 0.5, (positions + width / 2)[:, None])
    overlap = ((high - low).clip(0) / width).astype(np.float32)
    rows = np.repeat(np.arange(len(positions)), cells.shape[1])
    matrix = csr_array((overlap.ravel(), (rows, cells.clip(0, length - 1).ravel())), shape=(len(positions), length))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def forth(shape: Sequence[int], factors: Sequence[float], sizes: Sequence[int] | None = None) -> list[csr_array]:
    """One matrix an axis, from a grid of `shape` voxels to one whose voxels are `factors` times as long, by share of area."""
    sizes = sizes or [new_size(n, f) for n, f in zip(shape, factors, strict=True)]
    return [shares(n, centres(n, m, f), f) for n, m, f in zip(shape, sizes, factors, strict=True)]


def back(shape: Sequence[int], factors: Sequence[float]) -> list[csr_array]:
    """One matrix an axis, linear interpolation from the coarser grid to the one of `shape` voxels, as prediction does."""
    matrices = []
    for n, f in zip(shape, factors, strict=True):
        size = new_size(n, f)
        own = centres(n, size, f)
        step = own[1] - own[0] if size > 1 else 1.0
        matrices.append(shares(size, ((np.arange(n) - own[0]) / step).clip(0, size - 1), 1.0))
    return matrices


def resampled(values: Array, matrices: Sequence[csr_array]) -> Array:
    """Apply one matrix an axis, the last axes first; (..., X, Y[, Z]) -> (..., X', Y'[, Z']), float32."""
    out = np.asarray(values, dtype=np.float32)
    for axis, matrix in zip(range(-len(matrices), 0), matrices, strict=True):
        if _is_identity(matrix):
            continue
        moved = np.moveaxis(out, axis, 0)
        flat = matrix @ np.ascontiguousarray(moved).reshape(moved.shape[0], -1)
        out = np.moveaxis(flat.reshape(matrix.shape[0], *moved.shape[1:]), 0, axis)
    return np.ascontiguousarray(out)


def coarse_label(label: Array, factors: Sequence[float], sizes: Sequence[int] | None = None) -> Array:
    """Classes on a grid whose voxels are `factors` times as long; (X, Y[, Z]) whole numbers -> (X', Y'[, Z']), same type.

    A voxel is foreground where all structures together fill at least 0.4 of it (0.5 where no axis gets coarser), and then of
    the class that fills most. Voxels that nobody annotated (-1) take no part: the shares are of the rest. A new voxel is
    annotated where at least half of an annotated voxel's length falls into it, so that no contoured slice gets lost,
    but for outermost ones before which the coarser grid ends: it may be half a new voxel shorter.
    """
    matrices = forth(label.shape, factors, sizes)
    if all(_is_identity(matrix) for matrix in matrices):
        return label.copy()
    found, _, every = _largest(label, matrices)
    known = _annotated(label, matrices)
    if known is not None:
        every /= known.clip(TIE)
    found[every < (FOREGROUND if max(factors) > 1 + SAME else HALF) - TIE] = 0
    if known is not None:
        found[known < HALF / max(1.0, *factors) - TIE] = IGNORED
    return found


def label_back(coarse: Array, shape: Sequence[int], factors: Sequence[float]) -> Array:
    """A mask of the coarser grid on the grid of `shape` voxels, as prediction does it: the largest interpolated share.

    Of voxels with -1 nothing is known, and they take no part.
    """
    matrices = back(shape, factors)
    if all(_is_identity(matrix) for matrix in matrices):
        return coarse.copy()
    found, best, every = _largest(coarse, matrices)
    known = _annotated(coarse, matrices)
    if known is None:
        found[best <= 1 - every + TIE] = 0
        return found
    found[best <= known - every + TIE] = 0
    found[known < TIE] = IGNORED
    return found


def _annotated(label: Array, matrices: Sequence[csr_array]) -> Array | None:
    """The share of annotated voxels in each new one, float32; None where all are."""
    inside = label != IGNORED
    return None if inside.all() else resampled(inside, matrices)


def _largest(label: Array, matrices: Sequence[csr_array]) -> tuple[Array, Array, Array]:
    """For each new voxel the structure that fills most, its share, and the share of all structures.

    Each is looked at in its own box, one after the other: the memory is that of three arrays, whatever their number.
    """
    shape = tuple(int(matrix.shape[0]) for matrix in matrices)
    best, every = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    found = np.zeros(shape, label.dtype)
    for value in np.unique(label):
        if value in (0, IGNORED):
            continue
        inside = label == value
        old, new = _boxes(inside, matrices)
        cut = [matrix[place][:, source] for matrix, source, place in zip(matrices, old, new, strict=True)]
        share = resampled(inside[tuple(old)], cut)
        box = tuple(new)
        every[box] += share
        more = share > best[box] + TIE
        found[box][more] = value
        best[box][more] = share[more]
    return found, best, every


def _boxes(inside: Array, matrices: Sequence[csr_array]) -> tuple[list[slice], list[slice]]:
    """Where a class lies on the old grid, and where it has a share on the new one; one slice an axis each."""
    old, new = [], []
    for axis, matrix in enumerate(matrices):
        others = tuple(i for i in range(inside.ndim) if i != axis)
        places = np.flatnonzero(inside.any(axis=others))
        source = slice(int(places[0]), int(places[-1]) + 1)
        rows = np.flatnonzero(np.diff(matrix[:, source].indptr))
        old.append(source)
        new.append(slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0))
    return old, new


def _is_identity(matrix: csr_array) -> bool:
    rows, columns = matrix.shape
    if rows != columns or matrix.nnz != rows:
        return False
    return bool((matrix.indices == np.arange(rows)).all() and (matrix.data == 1).all())
