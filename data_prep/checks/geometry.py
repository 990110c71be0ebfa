"""D1xx: does the header give every voxel one sensible place?"""

from __future__ import annotations

import math

import numpy as np

from data_prep.checks.copies import copies
from data_prep.checks.registry import Remark, check
from data_prep.checks.subjects import ImageSubject
from data_prep.geometry import axis_letters, corner_distance, is_invertible, largest_cosine
from data_prep.volume import Affine, Volume
from data_prep.voxel_order import TOLERANCE

SIZE_TOLERANCE = 0.01
SHEAR = math.sin(math.radians(1))  # header rounding stays far below one degree
SMALLEST_MM, LARGEST_MM = 0.02, 100.0

WRITE_FORMS = "Write the right geometry into the header; to take over the sform, " + copies(
    "i.set_qform(i.affine, 1), i.set_sform(i.affine, 1)"
)
REPAIR = "monai-hybrid repair FOLDER --output OUT"
FILE_A_CHANNEL = "Give each channel a file of its own, as nnU-Net does: CASE_0000 and CASE_0001, in the channels' order"
EXPORT_AGAIN = "Export the image again from its source, or leave the case out: {case}"


def _edges(affine: Affine) -> Affine:
    return np.linalg.norm(affine[:3, :3], axis=0)


@check("D101", on="volume", level="error", remedy=f"If it has an sform, type: {REPAIR}. Else: " + EXPORT_AGAIN)
def voxel_size_not_positive(volume: Volume) -> str | None:
    """The header gives a voxel size that is zero, negative or not a number: readers repair it, each in its own way."""
    facts = volume.facts
    if facts is None or all(math.isfinite(edge) and edge > 0 for edge in facts.pixdim):
        return None
    return f"voxel size {facts.pixdim} mm; expected numbers above 0"


@check("D102", on="volume", level="error", remedy=EXPORT_AGAIN)
def affine_not_invertible(volume: Volume) -> str | None:
    """The affine is singular or not finite: voxels have no place of their own."""
    if volume.affine is None or is_invertible(volume.affine):
        return None
    return f"the affine {np.round(volume.affine[:3], 3).tolist()} cannot be inverted; expected three independent axes"


@check("D103", on="volume", level="error", acceptable=True, remedy="If you know the geometry, write it. " + WRITE_FORMS)
def no_form(volume: Volume) -> str | None:
    """Neither sform nor qform is set: left and right, position and orientation are a guess."""
    facts = volume.facts
    if facts is None or volume.spatial_dims == 2 or facts.sform_code > 0 or facts.qform_code > 0:
        return None
    return "neither sform nor qform is set, so readers guess orientation and position"


@check("D104", on="volume", level="error", remedy=WRITE_FORMS)
def forms_disagree_on_grid(volume: Volume) -> str | None:
    """sform and qform give different voxel sizes or orientations: two readers would see two anatomies."""
    facts = volume.facts
    if not _both_forms(volume) or facts is None or facts.qform is None:
        return None
    forms = (facts.sform, facts.qform)
    sizes, letters = [_edges(form) for form in forms], [axis_letters(form) for form in forms]
    if letters[0] == letters[1] and np.allclose(sizes[0], sizes[1], rtol=SIZE_TOLERANCE):
        return None
    seen = [f"{word} {np.round(size, 3).tolist()} mm" for word, size in zip(letters, sizes, strict=True)]
    return f"the sform says {seen[0]}, the qform {seen[1]}; tolerance {SIZE_TOLERANCE:.0%}"


@check("D105", on="volume", level="warning", remedy="This tool and MONAI follow the sform. " + WRITE_FORMS)
def forms_disagree_on_place(volume: Volume) -> str | None:
    """sform and qform place or turn the same grid differently; the sform is followed."""
    facts = volume.facts
    if not _both_forms(volume) or facts is None or facts.qform is None or forms_disagree_on_grid(volume):
        return None
    distance = corner_distance(facts.sform, facts.qform, volume.shape)
    tolerance = TOLERANCE * float(_edges(facts.sform).min())
    if distance <= tolerance:
        return None
    return f"sform and qform lie {distance:.2f} mm apart; tolerance {tolerance:.2f} mm"


def _both_forms(volume: Volume) -> bool:
    facts = volume.facts
    if facts is None or facts.sform_code <= 0 or facts.qform_code <= 0 or facts.qform is None:
        return False
    return is_invertible(facts.sform) and is_invertible(facts.qform)


@check(
    "D106",
    on="volume",
    level="error",
    acceptable=True,
    training_only=True,
    remedy="Resample it to a rectangular grid, or leave the case out: {case}",
)
def sheared_affine(volume: Volume) -> str | None:
    """The axes are not perpendicular (gantry tilt, or an affine registration written into the header)."""
    if volume.affine is None or not is_invertible(volume.affine):
        return None
    cosine = largest_cosine(volume.affine)
    if cosine <= SHEAR:
        return None
    moved = cosine * max(spacing * size for spacing, size in zip(volume.spacing, volume.shape, strict=True))
    return (
        f"axes are {math.degrees(math.asin(min(1, cosine))):.1f} degrees off perpendicular (tolerance 1 degree), "
        f"up to {moved:.1f} mm across the image"
    )


@check(
    "D107",
    on="volume",
    level="error",
    acceptable=True,
    remedy="Set the unit or the voxel size right, or leave the case out: {case}",
)
def voxel_size_absurd(volume: Volume) -> str | None:
    """Voxels are larger than 100 mm or smaller than 0.02 mm: usually a wrong unit."""
    if volume.affine is None or not is_invertible(volume.affine):
        return None
    spacing = volume.spacing
    if min(spacing) >= SMALLEST_MM and max(spacing) <= LARGEST_MM:
        return None
    return f"voxels of {tuple(round(edge, 5) for edge in spacing)} mm; expected {SMALLEST_MM} to {LARGEST_MM:g} mm"


@check(
    "D108",
    on="volume",
    level="error",
    acceptable=True,
    remedy="If the numbers are not mm, scale the affine. If they are, say so in the header: "
    + copies("i.header.set_xyzt_units('mm')"),
)
def unit_not_mm(volume: Volume) -> str | None:
    """The header's unit of length is not the millimetre; most readers, MONAI's too, take the numbers as mm."""
    units = volume.facts.units if volume.facts else "mm"
    return f"the unit of length is {units}; expected mm" if units in ("micron", "meter") else None


@check(
    "D109",
    on="image",
    level="error",
    remedy=f"If the volumes are channels, write a file for each: {REPAIR} --pages channels; "
    f"to keep the first alone: {REPAIR} --pages first",
)
def too_many_axes(subject: ImageSubject) -> Remark | str | None:
    """An image has a time axis, a vector axis, or another number of channels than declared."""
    shape = subject.volume.array.shape
    if subject.volume.channels == subject.channels:
        return None
    if subject.channels == 1:
        return f"shape {shape}; expected (X, Y) or (X, Y, Z)"
    return Remark(f"shape {shape}; expected (X, Y, Z, {subject.channels})", remedy=FILE_A_CHANNEL)


@check(
    "D111",
    on="volume",
    level="error",
    remedy=f"Drop the empty axes: {REPAIR}",
)
def empty_axes(volume: Volume) -> str | None:
    """A file has a fifth axis of length 1, which MONAI keeps as a fourth spatial axis."""
    shape = volume.array.shape
    return f"shape {shape}; expected at most four axes" if len(shape) > 4 and volume.channels == 1 else None


@check(
    "D110",
    on="image",
    level="error",
    acceptable=True,
    training_only=True,
    remedy="A data set of such files alone is read as 2D; leave this one out: {case}",
)
def one_slice(subject: ImageSubject) -> str | None:
    """A 3D image is one slice thick."""
    shape = subject.volume.shape
    return (
        f"shape {shape}: one slice thick; expected at least 2 along every axis" if len(shape) == 3 and min(shape) == 1 else None
    )


@check("D112", on="volume", level="note", remedy=f"Nothing to do; to fill it in: {REPAIR}")
def qform_missing(volume: Volume) -> str | None:
    """Only the sform is set; readers that look at the qform alone (some viewers) see another geometry."""
    facts = volume.facts
    if facts is None or volume.spatial_dims == 2 or facts.sform_code <= 0 or facts.qform_code > 0:
        return None
    return "sform set, qform not set; the sform is followed"
