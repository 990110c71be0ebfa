"""D319 to D321: voxels that nobody annotated."""

from __future__ import annotations

from collections.abc import Iterator

from data_prep.checks.labels import number
from data_prep.checks.registry import Remark, check
from data_prep.checks.subjects import DatasetSubject, LabelSubject


@check(
    "D319",
    on="label",
    level="error",
    remedy="Contour a slice or more; or leave the label out, mv {file} .., and build with --allow-unlabelled",
)
def nothing_annotated(subject: LabelSubject) -> str | None:
    """A label holds nothing but the ignore value: no voxel is annotated."""
    return f"all {subject.ignored} voxels hold the ignore value" if subject.ignored and not subject.counts else None


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
    labelled = [facts for facts in subject.facts if facts.case.label is not None]
    if subject.ignore is not None and labelled and not any(facts.ignored for facts in labelled):
        yield Remark(f"the ignore value {number(subject.ignore)} is in none of the {len(labelled)} labels")
