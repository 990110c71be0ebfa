"""Where a frame of a segmentation lies on the grid of its series: on whole voxels, or nowhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from data_prep.dicom.grid import SMALLEST
from data_prep.dicom.series import Series
from data_prep.dicom.values import numbers
from data_prep.volume import Array, ReadError

OFF_GRID = 0.05  # voxels by which a frame may lie beside a slice: positions are rounded to 16 characters


def item_of(own: Any, shared: Any, sequence: str) -> Any:
    """A sequence of a frame's functional groups: the frame's own, else that of all frames; None without one."""
    return own.get(sequence) or (shared.get(sequence) if shared is not None else None)


def placed(own: Any, shared: Any, plane: Array, series: Series) -> tuple[int, Array]:
    """The slice of the series that a frame (rows, columns) lies on, and the frame as (X, Y) of the series' grid.

    Raises:
        ReadError: "segments_off_grid": it has no place, or its pixels are no voxels of the series.
    """
    steps = np.linalg.inv(series.affine) @ _frame_affine(own, shared)  # frame (column, row) -> voxel of the series
    turn, start = steps[:3, :2], steps[:3, 3]
    whole_turn, whole_start = np.rint(turn), np.rint(start)
    size = (plane.shape[1], plane.shape[0])
    far = np.abs(steps[:3] @ [size[0] - 1, size[1] - 1, 0, 1] - (whole_turn @ [size[0] - 1, size[1] - 1] + whole_start))
    near = np.abs(start - whole_start)
    in_plane = np.abs(whole_turn[:2]).sum(axis=0).tolist() == [1, 1] and not whole_turn[2].any()
    if not in_plane or max(float(far.max()), float(near.max())) > OFF_GRID:
        raise ReadError("segments_off_grid", "its frames do not lie on the voxels of its images")
    turned = plane.T
    if whole_turn[0, 0] == 0:  # its columns run along Y
        turned = turned.T
    signs = whole_turn[:2].sum(axis=1)
    corner = [int(whole_start[axis] - (turned.shape[axis] - 1 if signs[axis] < 0 else 0)) for axis in (0, 1)]
    for axis in (0, 1):
        turned = np.flip(turned, axis) if signs[axis] < 0 else turned
    whole: Array = np.zeros(series.shape[:2], turned.dtype)
    part = tuple(slice(at, at + length) for at, length in zip(corner, turned.shape, strict=True))
    if min(corner) < 0 or whole[part].shape != turned.shape or not 0 <= whole_start[2] < series.shape[2]:
        raise ReadError("segments_off_grid", "its frames reach beyond its images")
    whole[part] = turned
    return int(whole_start[2]), whole


def _frame_affine(own: Any, shared: Any) -> Array:
    """Frame (column, row, 0) -> RAS mm, (4, 4)."""

    def of(sequence: str, keyword: str, count: int) -> tuple[float, ...] | None:
        item = next(iter(item_of(own, shared, sequence) or ()), None)
        return numbers(item, keyword, count) if item is not None else None

    position = of("PlanePositionSequence", "ImagePositionPatient", 3)
    orientation = of("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    spacing = of("PixelMeasuresSequence", "PixelSpacing", 2)
    if position is None or orientation is None or spacing is None or min(spacing) < SMALLEST:
        raise ReadError("segments_off_grid", "its frames do not say where they lie")
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = np.array(orientation[:3]) * spacing[1], np.array(orientation[3:]) * spacing[0]
    affine[:3, 3] = position
    affine[:2] *= -1  # LPS to RAS
    return affine
