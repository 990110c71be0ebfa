"""What kind of images planes are: slices of a scan, a localiser, or no scan at all. By the header alone."""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.dicom.grid import Problem, has_place
from data_prep.dicom.plane import Plane
from data_prep.dicom.shown import PHOTOMETRIC, shown_term
from data_prep.dicom.tags import NO_SCAN, SECONDARY

SCOUT, NO_VOLUME, MOSAIC = "D514", "D515", "D522"
SCOUT_WORDS = ("LOCALIZER", "SCOUT", "SURVEY", "TOPOGRAM")
GREY = ("MONOCHROME1", "MONOCHROME2")
FEW = 7  # images of one direction in a localiser


def sorted_by_kind(planes: Sequence[Plane]) -> tuple[list[Plane], list[Plane], list[Plane]]:
    """Localisers, images that are no scan, and slices."""
    alone = len(planes) == 1 and _called_scout(planes[0].description)  # of several slices a description is no proof
    kinds = [0 if alone or is_scout(plane) else 2 if is_slice(plane) else 1 for plane in planes]
    scouts, others, slices = ([p for p, kind in zip(planes, kinds, strict=True) if kind == wanted] for wanted in range(3))
    return scouts, others, slices


def is_scout(plane: Plane) -> bool:
    """Whether the header calls it a localiser, scout or survey."""
    return any(_called_scout(part) for part in plane.image_type)


def _called_scout(text: str) -> bool:
    return any(word in text.upper() for word in SCOUT_WORDS)


def is_slice(plane: Plane) -> bool:
    """Whether it has one grey value a pixel and is no dose, and no secondary capture without a place."""
    if plane.sop_class in NO_SCAN or plane.samples > 1 or plane.photometric not in GREY:
        return False
    secondary = plane.sop_class == SECONDARY or plane.sop_class.startswith(f"{SECONDARY}.")
    return not (secondary and plane.position is None)


def scout_problem(planes: Sequence[Plane]) -> Problem:
    """That the header calls these a localiser."""
    return Problem(SCOUT, f"{_images(planes)} called a localiser by the header")


def no_scan_problem(planes: Sequence[Plane]) -> Problem:
    """Why these are no slices."""
    first = planes[0]
    if first.sop_class in NO_SCAN:
        return Problem(NO_VOLUME, f"{_images(planes)} {NO_SCAN[first.sop_class]}")
    colour = first.samples > 1 or first.photometric not in GREY
    photometric = shown_term(first.photometric, PHOTOMETRIC, "of an unknown kind")
    kind = f"colour ({photometric})" if colour else "a secondary capture without a place in the patient"
    return Problem(NO_VOLUME, f"{_images(planes)} {kind}")


def _images(planes: Sequence[Plane]) -> str:
    return f"{len(planes)} images are" if len(planes) > 1 else "1 image is"


def whole_problem(planes: Sequence[Plane], grids: Sequence[Sequence[Plane]]) -> Problem | None:
    """What makes slices no stack, whatever part is taken: mosaics, and a few images in several directions.

    Args:
        planes: all of them.
        grids: the same, by size and orientation.
    """
    tiles = sum("MOSAIC" in plane.image_type for plane in planes)
    if tiles:
        return Problem(MOSAIC, f"{tiles} of {len(planes)} images are mosaics")
    single = len(grids) > 1 and all(len(grid) == 1 for grid in grids)
    crossed = len(grids) == 3 and max(map(len, grids)) <= FEW
    if (single or crossed) and all(has_place(grid[0]) for grid in grids):
        return Problem(SCOUT, f"{len(planes)} images in {len(grids)} directions or sizes: a localiser, or projections")
    return None
