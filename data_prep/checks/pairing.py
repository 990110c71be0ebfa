"""D4xx: do the files belong together?"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from data_prep.amounts import by
from data_prep.checks.registry import Remark, check
from data_prep.checks.subjects import DatasetSubject, PairSubject
from data_prep.geometry import corner_distance, is_invertible
from data_prep.label_affixes import common_ending, without_label_words
from data_prep.part_of_grid import on_whole_grid
from data_prep.pictures import is_picture
from data_prep.quoting import quoted
from data_prep.reading import NIFTI, extension, stem
from data_prep.same_scan import same_place
from data_prep.volume import Affine
from data_prep.voxel_order import TOLERANCE, order_of_volumes

REPAIRABLE = (
    "If it was drawn on this image and is at most half a voxel off, or is the same grid in another voxel order, "
    "type: monai-hybrid repair FOLDER --output OUT. Else: "
)
CUT_OUT = "To fill it up with 0 to the grid of its image, type: monai-hybrid repair FOLDER --output OUT"
REGRID = "Export the label again on the grid of its image, or leave the case out: {case}"
UNLABELLED = "monai-hybrid build FOLDER --output OUT --allow-unlabelled"
NO_LABELS = "Put masks that are called like the images into the folder of labels. Without masks: monai-hybrid predict --help"
CHANNELS = "Bring one of the two channels onto the grid of the other one, or leave the case out"


def _remark(pair: PairSubject, seen: str) -> Remark:
    """What was seen, with the remedy for two channels where the second is no label."""
    return Remark(seen, remedy="" if pair.counts is not None else CHANNELS)


@check("D401", on="pair", level="error", remedy=REGRID)
def shape_mismatch(pair: PairSubject) -> Remark | None:
    """Image and label (or two channels) have different shapes."""
    if pair.first.shape == pair.second.shape or order_of_volumes(pair.first, pair.second):
        return None
    seen = f"shape {pair.second.shape}; {pair.first.path.name} has {pair.first.shape}"
    if pair.counts is not None and extension(pair.second.path) in NIFTI and on_whole_grid(pair.first, pair.second):
        return Remark(f"{seen}; the label is cut out of that grid", remedy=CUT_OUT)
    return _remark(pair, seen)


@check("D402", on="pair", level="error", remedy=REPAIRABLE + REGRID)
def affine_mismatch(pair: PairSubject) -> Remark | None:
    """Image and label (or two channels) lie at different places; tolerance a tenth of the smallest voxel edge."""
    first, second = pair.first.affine, pair.second.affine
    if first is None or second is None or shape_mismatch(pair) or not (is_invertible(first) and is_invertible(second)):
        return None
    if order_of_volumes(pair.first, pair.second):
        if pair.counts is not None:
            return None
        return _remark(pair, f"the same grid as {pair.first.path.name}, but stored in another voxel order")
    distance = corner_distance(first, second, pair.first.shape)
    tolerance = TOLERANCE * float(np.linalg.norm(first[:3, :3], axis=0).min())
    if distance <= tolerance:
        return None
    voxels = [by(volume.spacing) for volume in (pair.second, pair.first)]
    sizes = (
        f"both have voxels of {voxels[0]} mm"
        if voxels[0] == voxels[1]
        else f"its voxels are {voxels[0]} mm, there {voxels[1]} mm"
    )
    said = f"it lies {distance:.3g} mm away from {pair.first.path.name}; tolerance {tolerance:.3g} mm; {sizes}"
    return _remark(pair, said)


@check(
    "D403",
    on="dataset",
    level="error",
    remedy=f"Add the label, or type: {UNLABELLED}",
)
def missing_label(subject: DatasetSubject) -> Iterator[Remark]:
    """An image has no label."""
    none = all(case.label is None for case in subject.cases)
    remedy = NO_LABELS if none else f"Or type: {UNLABELLED}" if subject.not_masks else ""
    for case in subject.cases:
        if case.label is None and not subject.allow_unlabelled:
            said = f"{subject.not_masks} {remedy}".strip()
            yield Remark("this image has no label of the same name", case.case_id, str(case.images[0]), remedy=said)


@check("D404", on="dataset", level="error", remedy="Add the image, or move the label away: mv -n {file} ..")
def missing_image(subject: DatasetSubject) -> Iterator[Remark]:
    """A label has no image."""
    known = {case.case_id for case in subject.cases}
    ending = common_ending([stem(path) for path in subject.orphans])
    for path in subject.orphans:
        fits = next((name for name in without_label_words(stem(path)) if name in known), None)
        hint = f"; it would be that of {fits!r} if it were called {fits}{path.name[len(stem(path)) :]}" if fits else ""
        if not fits and ending:
            hint = f"; all such labels end in {ending!r}: give images and labels the same names, without it"
        yield Remark(f"this label has no image of the same name{hint}", "", str(path))


# Where one file was given twice, removing it would lose it.
ONE_FILE = "Both are one file: keep it, and take one of the two entries out of the list, or the link away"


@check("D405", on="dataset", level="error", remedy="Keep one of the two. To leave this one out: {case}")
def same_scan_twice(subject: DatasetSubject) -> Iterator[Remark]:
    """Two cases have the same image, voxel for voxel: one person would be counted twice, or cross a split."""
    for again in _repeated(subject):
        if again.same_header:
            remedy = ONE_FILE if os.path.realpath(again.file) == os.path.realpath(again.first) else ""
            yield Remark(f"the same content{again.split} as {again.earlier}", again.case, again.file, remedy=remedy)


@check("D413", on="dataset", level="warning", remedy="If it is one examination, leave this one out: {case}")
def same_voxels_elsewhere(subject: DatasetSubject) -> Iterator[Remark]:
    """Two cases have the same voxels, though their headers give them other places or sizes."""
    for again in _repeated(subject):
        if not again.same_header:
            yield Remark(f"the same voxels{again.split} as {again.earlier}, under another header", again.case, again.file)


class _Repeat(NamedTuple):
    """An image file whose voxels an earlier one holds as well."""

    file: str
    case: str
    split: str
    earlier: str
    same_header: bool
    first: str


def _repeated(subject: DatasetSubject) -> Iterator[_Repeat]:
    seen: dict[str, list[tuple[str, Affine | None, str]]] = defaultdict(list)
    for facts in sorted(subject.facts, key=lambda one: one.case.label is None):  # of two, the one without a label goes
        split = f" ({facts.case.split})" if facts.case.split else ""
        for path, digest, place in zip(facts.case.images, facts.digests, facts.places, strict=True):
            earlier = seen[digest]
            equal = next((one for one in earlier if same_place(one[1], place)), None)
            if earlier:
                name, _, first = equal or earlier[0]
                yield _Repeat(str(path), facts.case.case_id, split, name, equal is not None, first)
            earlier.append((f"{path}{split}", place, str(path)))


@check(
    "D406",
    on="dataset",
    level="error",
    remedy="Rename one of them and its label, so that results cannot overwrite each other: mv {file} NEW_NAME",
)
def ids_alike(subject: DatasetSubject) -> Iterator[Remark]:
    """Two case ids are equal, or equal but for case or Unicode form."""
    groups: dict[str, list[str]] = defaultdict(list)
    files = {case.case_id: str(case.images[0]) for case in subject.cases}
    for case in subject.cases:
        groups[unicodedata.normalize("NFC", case.case_id).casefold()].append(case.case_id)
    for ids in groups.values():
        for case_id in ids[1:]:
            message = f"case ids {ids[0]!r} and {case_id!r} differ at most by upper and lower case or Unicode form"
            yield Remark(message, case_id, files[case_id])


@check("D409", on="dataset", level="error", remedy="Give every case one file per channel, in the same order: ls -l {file}")
def channel_files_differ(subject: DatasetSubject) -> Iterator[Remark]:
    """Cases have different numbers of image files (channels)."""
    wanted = len(subject.cases[0].images) if subject.cases else 0
    for case in subject.cases:
        if len(case.images) != wanted:
            yield Remark(f"{len(case.images)} image files; the first case has {wanted}", case.case_id, str(case.images[0]))


@check("D408", on="dataset", level="error", remedy="Build 2D and 3D data sets separately: {case}")
def mixed_dimensions(subject: DatasetSubject) -> Iterable[Remark]:
    """2D and 3D images are mixed."""
    dims = [facts.spatial_dims for facts in subject.facts]
    wanted = 2 if dims.count(2) > dims.count(3) else 3
    return [
        Remark(f"{facts.spatial_dims}D; most images are {wanted}D", facts.case.case_id, str(facts.case.images[0]))
        for facts in subject.facts
        if facts.spatial_dims != wanted and len(set(dims)) > 1
    ]


FEW_VALUES = 32  # of a label; a scan has more


@check("D410", on="pair", level="error", remedy="Exchange the two files{exchange}")
def image_and_label_swapped(pair: PairSubject) -> Remark | None:
    """The image has few whole values and the label has many: the two are exchanged."""
    if pair.counts is None or len(pair.counts) <= FEW_VALUES:
        return None
    image = np.unique(pair.first.array[np.isfinite(pair.first.array)])
    whole = image.size <= FEW_VALUES and bool((image == np.round(image)).all())
    few = f"{image.size} different values in the image {pair.first.path.name}, {len(pair.counts)} in the label"
    words = {"exchange": _exchange(pair.first.path, pair.second.path)}
    return Remark(f"{few}; expected it the other way round", words=words) if whole else None


def _exchange(first: Path, second: Path) -> str:
    """The line that gives each of two files the other's place; "" where a file would get the ending of another."""
    if not extension(first) or extension(first) != extension(second):
        return ""
    between = quoted(f"{first}.kept")
    one, other = quoted(first), quoted(second)
    return f": mv -n {one} {between} && mv -n {other} {one} && mv -n {between} {other}"


MIN_CASES = 4  # fewer say nothing about what is usual
EXCHANGED = 5.0  # times nearer in the other order


@check(
    "D411",
    on="dataset",
    level="warning",
    remedy="Look at the channels of this case; if they are exchanged, rename the files: {file}",
)
def channels_exchanged(subject: DatasetSubject) -> Iterator[Remark]:
    """The channels of a case look like those of the other cases in another order."""
    if any(len(facts.case.images) == 1 and is_picture(facts.case.images[0]) for facts in subject.facts):
        return  # the file itself says which colour is which
    tables = [np.array(facts.quartiles, dtype=np.float64) for facts in subject.facts]
    if len(tables) < MIN_CASES or {table.shape for table in tables} != {tables[0].shape} or len(tables[0]) not in range(2, 5):
        return
    typical = np.median(tables, axis=0)
    scale = np.maximum(np.median(np.abs(np.array(tables) - typical), axis=0), 1e-6 + 0.05 * np.abs(typical))
    for facts, table in zip(subject.facts, tables, strict=True):
        orders = permutations(range(len(table)))
        away = {order: float(np.abs((table[list(order)] - typical) / scale).max()) for order in orders}
        best = min(away, key=lambda order: away[order])
        if away[tuple(range(len(table)))] > EXCHANGED * max(away[best], 1.0):
            message = f"its channels fit the other cases best in the order {list(best)}"
            yield Remark(message, facts.case.case_id, str(facts.case.images[0]))


@check(
    "D412",
    on="pair",
    level="note",
    remedy="Nothing to do: it is read in its image's order. To store it so, type: monai-hybrid repair FOLDER --output OUT",
)
def label_in_another_order(pair: PairSubject) -> str | None:
    """A label is stored in another voxel order than its image, at the same place in the world."""
    if pair.counts is None or pair.first.affine is None or pair.second.affine is None:
        return None
    if order_of_volumes(pair.first, pair.second) is None:
        return None
    letters = ["".join(nib.aff2axcodes(affine)) for affine in (pair.second.affine, pair.first.affine)]
    return f"its voxels are stored as {letters[0]}, those of {pair.first.path.name} as {letters[1]}; the place is the same"
