"""The repairs, one function each, by the code of the check. Each is certain, or raises `Judgement` and says what is missing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import nibabel as nib
import numpy as np

from data_prep.amounts import few
from data_prep.checks.geometry import SHEAR
from data_prep.checks.labels import number
from data_prep.geometry import corner_distance, is_invertible, largest_cosine
from data_prep.part_of_grid import on_whole_grid
from data_prep.repair.draft import Draft
from data_prep.volume import Affine, Array
from data_prep.voxel_order import order_of_volumes

TOLD = 8  # changes of values, in a sentence
ROUNDING = 1e-3  # label values this near to whole numbers are rounding errors of a float or of a scale factor
HALF_A_VOXEL = 0.5  # of the smallest edge: the error of taking a voxel's corner for its centre


class Judgement(Exception):
    """The defect is there, but what is right is for a person to say."""


Fix = Callable[[Draft], str | None]
FIXES: dict[str, Fix] = {}


def fixes(code: str) -> Callable[[Fix], Fix]:
    """Register a repair. It changes the draft and says what it did, or returns None: nothing to do."""

    def register(function: Fix) -> Fix:
        FIXES[code] = function
        return function

    return register


@fixes("D401")
def whole_grid(draft: Draft) -> str | None:
    """A label cut out of its image's grid gets the whole grid, 0 around it, every voxel at its place."""
    image, label = draft.partner, draft.volume
    if not draft.is_label or image is None or image.affine is None or label.shape == image.shape:
        return None
    whole = None if order_of_volumes(image, label) else on_whole_grid(image, label)
    if whole is None:
        return None
    code = max(1, *((image.facts.sform_code, image.facts.qform_code) if image.facts else (1,)))
    draft.header.set_data_shape(whole.shape)
    draft.header.set_zooms(_edges(image.affine))
    draft.header.set_sform(image.affine, code)
    straight = _rectangular(image.affine)  # a qform can hold it
    draft.header.set_qform(image.affine if straight else None, code if straight else 0)
    draft.array = whole.array
    facts = label.facts
    if facts is not None:
        facts = replace(facts, pixdim=_edges(image.affine), sform=image.affine, sform_code=code)
        facts = replace(facts, qform=image.affine, qform_code=code if straight else 0)
    draft.volume = replace(whole, facts=facts)
    return f"shape {label.shape} to {whole.shape}: each voxel is one of {image.path.name}, 0 elsewhere"


@fixes("D412")
def order_of_the_image(draft: Draft) -> str | None:
    """A label or channel stored in another voxel order, at the same place, gets the order of its image, voxel for voxel."""
    volume, facts, like = draft.volume, draft.volume.facts, draft.like
    order = order_of_volumes(like, volume) if like is not None and volume.array.ndim <= 4 else None
    if order is None or facts is None or volume.affine is None or like is None or like.affine is None:
        return None
    sform, affine = order.affine(facts.sform, volume.shape), order.affine(volume.affine, volume.shape)
    qform = None if facts.qform is None else order.affine(facts.qform, volume.shape)
    edges = tuple((*facts.pixdim, 1.0)[axis] for axis in order.axes)[: len(facts.pixdim)]
    draft.header.set_qform(affine if qform is None else qform, facts.qform_code)
    draft.header.set_sform(sform, facts.sform_code)
    draft.array = np.ascontiguousarray(order.array(volume.array))
    facts = replace(facts, sform=sform, qform=qform, pixdim=edges)
    draft.volume = replace(volume, array=draft.array, affine=affine, facts=facts)
    letters = ["".join(nib.aff2axcodes(of)) for of in (volume.affine, like.affine)]
    return f"voxels stored as {letters[0]}, now as {letters[1]}, the order of {like.path.name}; every voxel at its place"


@fixes("D111")
def drop_empty_axes(draft: Draft) -> str | None:
    """Trailing axes of length 1, beyond the third, are dropped; the voxels stay as they are."""
    shape = draft.volume.array.shape
    if len(shape) <= 4 or math.prod(shape[3:]) != 1:
        return None
    draft.header.set_data_shape(shape[:3])
    return f"shape {shape} to {shape[:3]}"


@fixes("D101")
def voxel_size_from_sform(draft: Draft) -> str | None:
    """A voxel size that is no length is taken from the sform, when that is sound."""
    facts = draft.volume.facts
    if facts is None or all(math.isfinite(edge) and edge > 0 for edge in facts.pixdim):
        return None
    if facts.sform_code <= 0 or not _rectangular(facts.sform):
        raise Judgement("the header has no sound sform that gives the voxel size")
    draft.header.set_qform(facts.sform, facts.sform_code)
    return f"voxel size {facts.pixdim} to {_edges(facts.sform)} mm, with the qform, from the sform"


@fixes("D112")
def qform_from_sform(draft: Draft) -> str | None:
    """A missing qform is filled in from the sform, when a qform can express it (no shear)."""
    facts = draft.volume.facts
    if facts is None or facts.sform_code <= 0 or facts.qform_code > 0 or "D101" in draft.done:
        return None
    if not _rectangular(facts.sform):
        raise Judgement("a qform cannot hold the sform: its axes are not perpendicular")
    draft.header.set_qform(facts.sform, facts.sform_code)
    return "qform set to the sform"


@fixes("D302")
def whole_numbers(draft: Draft) -> str | None:
    """Label values within 0.001 of whole numbers are rounded; a scale factor on whole stored values is dropped."""
    values = draft.volume.array
    if not draft.is_label or values.dtype.kind != "f" or not np.isfinite(values).all():
        return None
    rounded = np.rint(values)
    away = float(np.abs(values - rounded).max(initial=0))
    if away == 0:
        return None
    if away <= ROUNDING:
        draft.array = _smallest(rounded)
        return f"values rounded to whole numbers; largest change {away:.2g}, tolerance {ROUNDING:g}"
    stored = _stored_codes(draft)
    if stored is None:
        raise Judgement(f"values lie up to {away:.2g} from whole numbers; tolerance {ROUNDING:g}")
    draft.array = _smallest(stored)
    slope = draft.volume.facts.slope if draft.volume.facts else 1
    return f"scale factor {slope:g} dropped; the stored values are whole: {_listed(stored)}"


def _stored_codes(draft: Draft) -> Array | None:
    """The stored whole numbers of a label whose header scales them; None when they are not a label's."""
    facts = draft.volume.facts
    if facts is None or facts.slope in (0, 1) or not math.isfinite(facts.slope):
        return None
    if draft.header.get_data_dtype().kind not in "iu" or float(draft.header["scl_inter"]) != 0:
        return None
    return np.rint(draft.volume.array / facts.slope)


@fixes("D402")
def header_of_the_image(draft: Draft) -> str | None:
    """A label of its image's shape, at most half a voxel off, gets the image's geometry."""
    own, image = draft.volume.affine, draft.partner
    if not draft.is_label or image is None or own is None or image.affine is None or image.facts is None:
        return None
    if draft.volume.shape != image.shape or not (is_invertible(own) and is_invertible(image.affine)):
        return None
    distance, edge = corner_distance(image.affine, own, image.shape), min(_edges(image.affine))
    if distance <= 0.1 * edge:
        return None
    if distance > HALF_A_VOXEL * edge * (1 + ROUNDING):
        raise Judgement(
            f"it lies {distance:.3g} mm from its image; only up to {HALF_A_VOXEL * edge:.3g} mm is taken for an error"
        )
    draft.header.set_sform(image.affine, max(1, image.facts.sform_code))
    if _rectangular(image.affine):
        draft.header.set_qform(image.affine, max(1, image.facts.qform_code, image.facts.sform_code))
    return f"geometry of {image.path.name}, {distance:.3g} mm away; tolerance {HALF_A_VOXEL * edge:.3g} mm"


@fixes("map")
def mapped_values(draft: Draft) -> str | None:
    """Label values are replaced as `--map` says; the user knows what they mean."""
    if not draft.is_label or not draft.values:
        return None
    voxels = draft.voxels
    found = set(np.unique(voxels).tolist())
    counts: dict[str, int] = {}
    result = np.array(voxels, dtype=np.float64)
    for old, new in draft.values.items():
        if old in found:
            mask = voxels == old
            counts[f"{old} to {new}"], result[mask] = int(mask.sum()), new
    if not counts:
        return None
    draft.array = _smallest(result) if (result == np.rint(result)).all() else result.astype(np.float32)
    return few([f"{change} in {count} voxels" for change, count in counts.items()], TOLD)


def _smallest(values: Array) -> Array:
    """Whole numbers in the smallest common integer type that holds them."""
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    kinds: tuple[type, ...] = (np.uint8, np.int16, np.int32)
    kind = next((k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max), np.int64)
    return values.astype(kind)


def _listed(values: Array) -> str:
    return ", ".join(number(float(value)) for value in np.unique(values)[:8])


def _edges(affine: Affine) -> tuple[float, ...]:
    return tuple(round(float(edge), 4) for edge in np.linalg.norm(affine[:3, :3], axis=0))


def _rectangular(affine: Affine) -> bool:
    return is_invertible(affine) and largest_cosine(affine) <= SHEAR
