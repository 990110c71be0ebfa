"""The distance up to which two surfaces agree: 2 mm, but never more than three voxels of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data_prep.amounts import cells

USUAL = 2.0  # mm, or pixels and voxels where the files state no mm
VOXELS = 3


@dataclass(frozen=True)
class Tolerance:
    """A length in the unit of the evaluation, and where it comes from, as one sentence without a stop."""

    length: float
    reason: str


def choose_tolerance(given: float | None, unit: str, spacing: Sequence[float]) -> Tolerance:
    """The user's own, else 2 mm, or three voxels where that is less: 2 mm are 13 voxels of 0.15 mm in the brain of a mouse.

    Args:
        given: the setting nsd_tolerance; None: not given.
        unit: of lengths: "mm", "pixels" or "voxels".
        spacing: median voxel edges of the data set, mm; the edge of a cube of one voxel's volume counts.
    """
    if given is not None:
        return Tolerance(float(given), "set with --nsd_tolerance")
    if unit != "mm":
        return Tolerance(USUAL, f"{USUAL:g} {unit}, because the files state no mm")
    edge = math.prod(spacing) ** (1 / len(spacing))
    if VOXELS * edge >= USUAL:
        return Tolerance(USUAL, f"the usual {USUAL:g} mm")
    length = float(f"{VOXELS * edge:.2g}")
    return Tolerance(
        length,
        f"{VOXELS} {cells(len(spacing))} of {edge:.2g} mm, because the usual {USUAL:g} mm are {USUAL / edge:.0f} of them",
    )
