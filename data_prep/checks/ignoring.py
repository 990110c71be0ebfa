"""D319 to D322: voxels that nobody annotated."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from data_prep.checks.labels import number
from data_prep.checks.registry import Remark, check
from data_prep.checks.subjects import DatasetSubject, LabelSubject


@check(
    "D319",
    on="label",
    level="error",
    remedy="Contour a slice or more; or leave the label out, mv -n {file} .., and build with --allow-unlabelled",
)
def nothing_annotated(subject: LabelSubject) -> str | None:
    """A label holds nothing but the ignore value: no voxel is annotated."""
    all_of_it = f"all {subject.ignored} {subject.volume.cells}"
    return f"{all_of_it} hold the ignore value" if subject.ignored and not subject.counts else None


@check(
    "D320",
    on="dataset",
    level="error",
    remedy="Give the voxels that nobody annotated a value of their own, and name it: --ignore-label 255",
)
def ignore_is_a_class(subject: DatasetSubject) -> Iterator[Remark]:
    """The ignore value is also the value of a class."""
    name = (subject.declared or {}).get(subject.ignore) if subject.ignore is not None else None
    if name is not None:
        yield Remark(f"the value {number(subject.ignore or 0)} is the ignore value and the class {name!r}")


@check(
    "D321",
    on="dataset",
    level="warning",
    remedy="Compare the ignore value with the labels; where every voxel is annotated, leave --ignore-label out",
)
def ignore_never_used(subject: DatasetSubject) -> Iterator[Remark]:
    """No label holds the ignore value."""
    labelled = subject.labelled
    if subject.ignore is not None and labelled and not any(facts.ignored for facts in labelled):
        yield Remark(f"the ignore value {number(subject.ignore)} is in none of the {len(labelled)} labels")


LEFT_OUT = (254, 255)  # what other programs write where nobody annotated
MOST = 0.5


@check(
    "D322",
    on="label",
    level="warning",
    remedy="If nobody annotated those voxels, and no other label holds that value for its structure, leave them out: "
    "--ignore-label 255, or 254 if that is the value; "
    'if they are a structure, name it: --label-names "1=NAME_1,255=NAME_255"',
)
def perhaps_not_annotated(subject: LabelSubject) -> str | None:
    """The value 254 or 255 beside smaller ones fills most of a label or of its border: perhaps nobody annotated there."""
    inside = {value for value in subject.counts if value > 0} - set(LEFT_OUT)
    beyond = [value for value in LEFT_OUT if subject.counts.get(value) and value not in (subject.declared or {})]
    if not inside or not beyond or max(inside) >= LEFT_OUT[0] - 1:  # alone it is a class; after 253 it is the next one
        return None
    here = np.isin(subject.volume.array, beyond)
    share, rim = float(here.mean()), _rim(here)
    if share <= MOST and rim <= MOST:
        return None
    value, last = " and ".join(map(str, beyond)), number(max(inside))
    return f"the value {value} fills {share:.0%} of the label and {rim:.0%} of its border, beside classes up to {last}"


def _rim(here: np.ndarray) -> float:
    """Share of a mask's outermost voxels, in the plane of each slice, that are True; (X, Y) or (X, Y, Z)."""
    edges = [here[0], here[-1], here[:, 0], here[:, -1]]
    return float(np.concatenate([edge.ravel() for edge in edges]).mean())
