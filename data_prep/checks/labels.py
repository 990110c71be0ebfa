"""D3xx: does the label hold the classes it should?"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from data_prep.amounts import few
from data_prep.checks.copies import copies
from data_prep.checks.registry import Remark, check
from data_prep.checks.subjects import CaseFacts, DatasetSubject, LabelSubject
from data_prep.checks.where import located
from data_prep.geometry import is_invertible

MANY_VALUES = 256
EXACT = 2**53  # whole numbers from here on have neighbours of the same double
EXACT_FLOAT32 = 2**24

ROUND = (
    "If they are whole numbers but for rounding (0.001) or a scale factor, type: "
    "monai-hybrid repair FOLDER --output OUT. Else export the label again, or leave the case out: {case}"
)


def _listed(values: list[float] | list[int]) -> str:
    return few([number(value) for value in values], 8)


def number(value: float) -> str:
    """A label value in words; whole numbers with all their digits, which tell one structure from another."""
    return f"{value:.0f}" if math.isfinite(value) and value == round(value) and abs(value) <= EXACT else f"{value:g}"


def _finite(subject: LabelSubject) -> list[float]:
    return sorted(value for value in subject.counts if math.isfinite(value))


@check("D301", on="label", level="error", remedy="Draw or export the label again, or leave the case out: {case}")
def label_not_finite(subject: LabelSubject) -> Remark | None:
    """Label voxels are NaN or infinite."""
    bad = sum(count for value, count in subject.counts.items() if not math.isfinite(value))
    return (
        located(subject.volume, ~np.isfinite(subject.volume.array), f"{bad} {subject.volume.cells} are not finite")
        if bad
        else None
    )


@check("D302", on="label", level="error", remedy=ROUND)
def label_not_integer(subject: LabelSubject) -> Remark | None:
    """Label values are not whole numbers (probabilities, a scale factor, interpolation)."""
    broken = [value for value in _finite(subject) if value != round(value)]
    count = sum(subject.counts[value] for value in broken)
    message = f"{count} {subject.volume.cells} hold values that are not whole numbers: {_listed(broken)}{_scale(subject)}"
    return _at(subject, broken, message)


def _scale(subject: LabelSubject) -> str:
    facts = subject.volume.facts
    return f" (the header scales by {facts.slope:g})" if facts is not None and facts.slope not in (0, 1) else ""


def _at(subject: LabelSubject, values: list[float], message: str) -> Remark | None:
    return located(subject.volume, np.isin(subject.volume.array, values), message) if values else None


@check(
    "D303",
    on="label",
    level="error",
    remedy="If nobody annotated them, add --ignore-label -1. Else give them a class or 0, for -1: "
    "monai-hybrid repair FOLDER --output OUT --map=-1=0",
)
def label_negative(subject: LabelSubject) -> Remark | None:
    """Label values are negative."""
    broken = [value for value in _finite(subject) if value < 0]
    count = sum(subject.counts[value] for value in broken)
    return _at(subject, broken, f"negative values {_listed(broken)} in {count} {subject.volume.cells}")


@check(
    "D304",
    on="label",
    level="error",
    remedy='Name every value: --label-names "1=NAME_1,2=NAME_2", or correct the label: {file}. '
    "A value of voxels that nobody annotated: --ignore-label VALUE. "
    'A value in the place of another: monai-hybrid repair FOLDER --output OUT --map "255=1"',
)
def label_undeclared(subject: LabelSubject) -> Remark | None:
    """Label values are not among the declared ones."""
    if subject.declared is None:
        return None
    known = {0, *subject.declared}
    broken = [value for value in _finite(subject) if value not in known and value >= 0 and value == round(value)]
    count = sum(subject.counts[value] for value in broken)
    message = (
        f"values {_listed(broken)} are not declared; declared are {_listed(sorted(known))}; {count} {subject.volume.cells}"
    )
    return _at(subject, broken, message)


@check(
    "D305",
    on="label",
    level="error",
    acceptable=True,
    remedy="Draw the structures, or leave the case out: {case}",
)
def label_empty(subject: LabelSubject) -> str | None:
    """The label of a 3D image holds nothing but background."""
    thick = subject.volume.spatial_dims == 3
    if not thick or set(subject.counts) != {0}:
        return None
    annotated = "annotated " if subject.ignored else ""
    return f"all {subject.volume.array.size - subject.ignored} {annotated}voxels are 0 (background)"


@check("D311", on="label", level="note", remedy="Nothing to do: images without the structure are welcome")
def slice_empty(subject: LabelSubject) -> str | None:
    """The label of a 2D image holds nothing but background."""
    if subject.volume.spatial_dims != 2 or set(subject.counts) != {0}:
        return None
    if subject.ignored:  # a mask stored as 0 and 255 among masks of 0 and 1 looks so when 255 is left out
        return f"{subject.ignored} pixels hold the ignore value, all others are 0 (background): is that value its structure?"
    return "all pixels are 0 (background)"


@check("D312", on="label", level="warning", remedy="Look for a stray click in a viewer: {file}")
def single_voxel(subject: LabelSubject) -> Remark | None:
    """A class of a 3D label has a single voxel."""
    if subject.volume.spatial_dims == 2:
        return None
    single = [value for value in _finite(subject) if value != 0 and subject.counts[value] == 1]
    return _at(subject, single, f"one voxel only of value {_listed(single)}")


SIDE_TOLERANCE_MM = 5.0


@check(
    "D313",
    on="label",
    level="error",
    acceptable=True,
    remedy='If the names are exchanged, name them right: --label-names "1=NAME_1,2=NAME_2"; else correct the header of {file}',
)
def sides_swapped(subject: LabelSubject) -> str | None:
    """The class named left lies to the right of the class named right."""
    affine = subject.volume.affine
    if affine is None or subject.volume.spatial_dims != 3 or not is_invertible(affine) or subject.volume.array.ndim > 3:
        return None
    for left, right in _sides(subject):
        apart = _centre_mm(subject, left) - _centre_mm(subject, right)  # x grows towards the patient's right
        if apart > SIDE_TOLERANCE_MM:
            names = (subject.declared or {})[left], (subject.declared or {})[right]
            return f"{names[0]!r} lies {apart:.1f} mm to the right of {names[1]!r}; tolerance {SIDE_TOLERANCE_MM:g} mm"
    return None


def _sides(subject: LabelSubject) -> Iterator[tuple[int, int]]:
    """Pairs of values present whose names differ only in left and right."""
    names = {str(name).lower(): value for value, name in (subject.declared or {}).items() if subject.counts.get(value)}
    for name, value in names.items():
        partner = names.get(re.sub(r"(?<![a-z])left(?![a-z])", "right", name))
        if partner is not None and partner != value:
            yield value, partner


def _centre_mm(subject: LabelSubject, value: int) -> float:
    """Mean place of a class along the left-right axis, in mm."""
    affine = subject.volume.affine
    voxels = np.argwhere(subject.volume.array == value).mean(axis=0)
    return 0.0 if affine is None else float(affine[0, :3] @ voxels + affine[0, 3])


@check(
    "D306",
    on="label",
    level="error",
    remedy="If image and label are exchanged, exchange the files. If the values number objects of one kind, such as cells, "
    'give all one value: monai-hybrid repair FOLDER --output OUT --map "2..{last}=1". Else leave the case out: {case}',
)
def label_like_image(subject: LabelSubject) -> Remark | None:
    """The label has so many values that it is probably an image."""
    count = len(subject.counts)
    if count <= MANY_VALUES:
        return None
    last = number(max(_finite(subject), default=0))
    return Remark(f"{count} different values; a label has at most {MANY_VALUES}", words={"last": last})


@check("D307", on="label", level="note", remedy="Nothing to do: whole numbers stored as floats are accepted")
def label_float(subject: LabelSubject) -> str | None:
    """Whole numbers are stored as floats."""
    whole = all(math.isfinite(value) and value == round(value) for value in subject.counts)
    return f"stored as {subject.volume.pixel_type}" if whole and "float" in subject.volume.pixel_type else None


@check(
    "D308",
    on="label",
    level="error",
    remedy="Store one value per voxel; of one-hot channels, "
    + copies("", new="i.__class__(i.get_fdata().argmax(-1).astype('u1'), i.affine) if i.ndim > 3 else i"),
)
def label_axes(subject: LabelSubject) -> str | None:
    """A label has a channel, time or vector axis."""
    shape = subject.volume.array.shape
    return f"shape {shape}; expected (X, Y) or (X, Y, Z)" if len(shape) > 4 or subject.volume.channels > 1 else None


@check("D309", on="dataset", level="warning", remedy="Correct the list of label names, or leave that name out")
def declared_but_absent(subject: DatasetSubject) -> Iterator[Remark]:
    """A declared class is in no label."""
    labelled = subject.labelled
    seen = frozenset[int]().union(*(facts.values for facts in labelled))
    declared = {} if subject.table_of_names else subject.declared or {}
    for value, name in sorted(declared.items()):
        if labelled and value != 0 and value not in seen:
            yield Remark(f"class {name!r} (value {value}) is declared but is in none of the {len(labelled)} labels")


@check("D310", on="dataset", level="error", remedy="Choose the folder that holds the labels: --labels-dir NAME")
def no_foreground(subject: DatasetSubject) -> Iterator[Remark]:
    """No label of the whole data set has any foreground."""
    labelled = subject.labelled
    if labelled and not any(facts.values - {0} for facts in labelled):
        yield Remark(f"all {len(labelled)} labels hold only background")


@check(
    "D316",
    on="label",
    level="error",
    remedy="Number the structures anew with smaller values, in the program that made them, or leave the case out: {case}",
)
def label_beyond_exact(subject: LabelSubject) -> Remark | None:
    """Label values are so large that neighbours cannot be told apart (from 2^53 on)."""
    beyond = [value for value in _finite(subject) if abs(value) >= EXACT]
    largest = max(beyond, key=abs, default=0)
    return _at(subject, beyond, f"values up to {largest:.0f}; expected less than 2^53 = {EXACT}")


@check(
    "D317",
    on="label",
    level="warning",
    remedy="Compare the values with the list of structures; if two became one, export the label again as integers: {file}",
)
def label_merged_by_float32(subject: LabelSubject) -> str | None:
    """Label values from 2^24 on are stored as float32: the program that wrote them may have merged neighbours."""
    large = [value for value in _finite(subject) if abs(value) >= EXACT_FLOAT32 and value == round(value)]
    if not large or subject.volume.pixel_type != "float32":
        return None
    return f"values such as {number(large[0])} stored as float32, which holds not every whole number from {EXACT_FLOAT32} on"


@check(
    "D318",
    on="dataset",
    level="warning",
    remedy="Let one of these patients train (build: --splits FILE, or another --seed), or leave the class out of the labels",
)
def class_only_held_out(subject: DatasetSubject) -> Iterator[Remark]:
    """A class is in validation or test labels, but in no training label: it cannot be learnt."""
    labelled = subject.labelled
    training = [facts for facts in labelled if facts.case.split in (None, "training")]
    held = [facts for facts in labelled if facts.case.split not in (None, "training")]
    learnt = frozenset[int]().union(*(facts.values for facts in training))
    for value in sorted(frozenset[int]().union(*(facts.values for facts in held)) - learnt - {0}):
        name = (subject.declared or {}).get(value, f"label_{value}")
        holders = [facts for facts in held if value in facts.values]
        by_split = Counter(str(facts.case.split) for facts in holders)
        where = " and ".join(f"{count} {split}" for split, count in by_split.items())
        message = f"class {name!r} (value {value}) is in none of the {len(training)} training labels, but in {where} labels"
        yield Remark(message, holders[0].case.case_id, str(holders[0].case.label))


FULL = (255, 32767, 65535)  # "all on" in masks of 8 and 16 bits


@check(
    "D323",
    on="dataset",
    level="warning",
    remedy='If they are one structure, give it one value: monai-hybrid repair FOLDER --output OUT --map "{map}". '
    'If they are two, name them: --label-names "{names}". If nobody annotated there: --ignore-label {full}',
)
def one_structure_of_two_values(subject: DatasetSubject) -> Iterator[Remark]:
    """Masks of one value each, in some 255 (or 65535) and in others another: one structure may have become two classes."""
    holders: dict[frozenset[int], list[CaseFacts]] = defaultdict(list)
    for facts in sorted(subject.facts, key=lambda facts: facts.case.case_id):  # `check` and `build` name the same ones
        if facts.values - {0}:
            holders[facts.values - {0}].append(facts)
    values = sorted(value for found in holders for value in found)
    if len(values) < 2 or any(len(found) > 1 for found in holders) or values[-1] not in FULL:
        return
    if set(values) <= set(subject.declared or {}):
        return  # the user has named them
    members = [(value, holders[frozenset({value})]) for value in values]
    said = ", ".join(
        f"{len(of)} mask{' holds' if len(of) == 1 else 's hold'} {value} alone, such as {_file_name(of[0])}"
        for value, of in members
    )
    words = {
        "map": f"{values[-1]}={values[0]}",
        "full": str(values[-1]),
        "names": ",".join(f"{value}=NAME_{value}" for value in values),
    }
    rarest = min(members, key=lambda entry: len(entry[1]))[1][0]
    message = f"{said}; each value becomes a class of its own"
    yield Remark(message, rarest.case.case_id, str(rarest.case.label), words=words)


def _file_name(facts: CaseFacts) -> str:
    return facts.case.label.name if facts.case.label is not None else facts.case.case_id
