"""D550 to D554: does each case say which of its files are images, masks and structures?"""

from __future__ import annotations

from collections.abc import Iterator

from data_prep.checks.datalist import seen, told
from data_prep.checks.registry import Remark, check, check_kind
from data_prep.checks.subjects import DatasetSubject
from data_prep.errors import DataListError


@check(
    "D550",
    on="datalist",
    level="error",
    remedy="Name the files so that they say it, or sort them into images/ and labels/: docs/how-to/files-as-they-lie.md",
)
def roles_unclear(fault: DataListError) -> str | None:
    """Which files are images, channels, masks or structures cannot be told by their names."""
    return seen(fault, "D550")


@check(
    "D551",
    on="dataset",
    level="error",
    acceptable=True,
    remedy="Add what is missing, or take this away: mv -n {file} ..",
)
def case_incomplete(subject: DatasetSubject) -> Iterator[Remark]:
    """A case has a folder or a mask and no image, or lacks a channel that the others have; it is left out."""
    yield from told(subject, "D551")


check_kind(
    "structures_overlap",
    code="D552",
    title="Masks of two structures overlap: a voxel would need two labels.",
    level="error",
    remedy="Take the voxels out of one of the masks, or take some structures alone, such as --label-names 1=liver",
)
check_kind(
    "structure_mask",
    code="D553",
    title="A file in a folder of masks is no mask of one structure, or lies on another grid than the others.",
    level="error",
    remedy="Export it as 0 and one value, on the grid of its image, or take other structures, such as --label-names 1=liver",
)


@check("D554", on="dataset", level="warning", remedy="If it was not drawn there, take that folder away: {file}")
def structure_absent(subject: DatasetSubject) -> Iterator[Remark]:
    """A case has no mask of a structure that others have; it counts as absent."""
    yield from told(subject, "D554")
