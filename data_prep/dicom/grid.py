"""Where planes lie: their order along the normal, the affine of their stack, and what speaks against one regular grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.dicom.plane import Plane
from data_prep.volume import Affine, Array

SAME = 1e-3  # of the larger of two lengths or direction cosines: rounding in headers is finer
SAME_PLACE = 1e-3  # mm
UNEQUAL = 0.02  # share of the spacing by which a step may differ: positions are often rounded to 0.01 mm
ROUNDING = 0.011  # mm
SMALLEST = 1e-6  # mm between voxels: less is no spacing, and makes a matrix that has no inverse
TILT = 0.1  # degrees between the stack and the normal of its planes


@dataclass(frozen=True)
class Problem:
    """Something that a check tells of a series, by the check's code."""

    code: str
    message: str


def axes(plane: Plane) -> tuple[Array, Array, Array] | None:
    """Directions of increasing column and row index and the normal, orthonormal, LPS, (3,) each; None without them."""
    if plane.orientation is None:
        return None
    row, column = np.array(plane.orientation[:3]), np.array(plane.orientation[3:])
    lengths = float(np.linalg.norm(row)), float(np.linalg.norm(column))
    if abs(lengths[0] - 1) > 0.01 or abs(lengths[1] - 1) > 0.01 or abs(float(row @ column)) > 0.01:
        return None
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    column = np.cross(normal, row / lengths[0])
    return np.cross(column, normal), column, normal


def height(plane: Plane) -> float | None:
    """The place of a plane along its normal, mm; None when the header does not say."""
    directions = axes(plane)
    if directions is None or plane.position is None:
        return None
    return float(np.array(plane.position) @ directions[2])


def has_place(plane: Plane) -> bool:
    """Whether the header says where the plane lies and how large its pixels are."""
    sized = plane.spacing is not None and min(plane.spacing) >= SMALLEST
    return sized and plane.position is not None and axes(plane) is not None


def stacked(planes: Sequence[Plane]) -> list[Plane]:
    """Planes in the order of their place along the normal; those without one at the end, as they came."""
    heights = [height(plane) for plane in planes]
    order = sorted(range(len(planes)), key=lambda i: (heights[i] is None, heights[i] or 0.0))
    return [planes[i] for i in order]


def affine_of(planes: Sequence[Plane]) -> Affine:
    """Voxel (column, row, slice) -> RAS mm, (4, 4) float64, of planes in order; of one plane by its thickness.

    The slices' axis is the normal, as in other readers; how far the stack leaves it is a problem of its own. Without geometry
    it is the unit matrix.
    """
    affine = np.eye(4)
    first = planes[0]
    directions = axes(first)
    if directions is None or first.spacing is None or first.position is None:
        return affine
    row, column, normal = directions
    between = first.thickness if first.thickness is not None and first.thickness >= SMALLEST else 1.0
    if len(planes) > 1 and planes[-1].position is not None:
        step = (np.array(planes[-1].position) - np.array(first.position)) / (len(planes) - 1)
        between = float(step @ normal)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = row * first.spacing[1], column * first.spacing[0], normal * between
    affine[:3, 3] = first.position
    affine[:2] *= -1  # LPS to RAS
    return affine


def problems_of_stack(planes: Sequence[Plane]) -> Iterator[Problem]:
    """What speaks against one regular grid: planes in order, of one size and orientation, all with a place."""
    places = np.array([plane.position for plane in planes], dtype=np.float64)
    directions = axes(planes[0])
    if directions is None or len(planes) < 2:
        return
    normal = directions[2]
    heights = places @ normal
    steps = np.diff(heights)
    if float(steps.min()) < SAME_PLACE:
        twice = int((steps < SAME_PLACE).sum())
        at = float(heights[int(steps.argmin())])
        yield Problem("D511", f"{twice} of {len(planes)} slices lie where another one lies, the first at {at:.2f} mm")
        return
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # of two middle ones the smaller: 0, 1, 3 mm is a gap
    yield from _gaps(steps, heights, usual)
    sideways = places - places[0] - np.outer(heights - heights[0], normal)
    yield from _tilt(sideways, heights, usual)


def _gaps(steps: Array, heights: Array, usual: float) -> Iterator[Problem]:
    allowed = max(UNEQUAL * usual, ROUNDING)
    odd = np.flatnonzero(np.abs(steps - usual) > allowed)
    drift = np.abs(heights - np.linspace(heights[0], heights[-1], len(heights)))
    if not odd.size:
        if float(drift.max()) > 0.25 * usual:
            yield Problem(
                "D512", f"slices are up to {drift.max():.2f} mm off a regular grid; usually they are {usual:g} mm apart"
            )
        return
    times = steps[odd] / usual
    if np.all(times > 1.5) and np.all(np.abs(times - np.round(times)) * usual < 2 * allowed * times):
        missing = int(np.round(times).sum()) - odd.size
        low, high = heights[odd[0]], heights[odd[0] + 1]
        where = f"from {low:.2f} to {high:.2f} mm is a gap of {high - low:.2f} mm; elsewhere slices are {usual:g} mm apart"
        yield Problem("D510", f"{missing} slice{'s are' if missing > 1 else ' is'} missing: {where}")
        return
    yield Problem("D512", f"slices are {steps.min():.2f} to {steps.max():.2f} mm apart; expected one spacing")


def _tilt(sideways: Array, heights: Array, usual: float) -> Iterator[Problem]:
    """`sideways`: how far each plane lies beside the normal through the first one, mm, (N, 3)."""
    whole = float(heights[-1] - heights[0])
    angle = float(np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), whole)))
    if angle > TILT and float(np.linalg.norm(sideways[-1])) > 2 * ROUNDING:
        yield Problem("D513", f"the stack leans by {angle:.1f} degrees: gantry tilt, slices are shifted against each other")
        return
    apart = np.linalg.norm(sideways, axis=1)
    if float(apart.max()) > max(0.25 * usual, 0.1):
        yield Problem("D512", f"slices are shifted against each other in their plane by up to {apart.max():.2f} mm")


def alike(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    """Whether two lists of numbers are equal but for rounding."""
    if one is None or other is None:
        return one is other
    return all(abs(a - b) <= SAME * max(1.0, abs(a), abs(b)) for a, b in zip(one, other, strict=True))
