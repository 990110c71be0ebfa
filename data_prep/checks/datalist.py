"""D5xx: is the list of the cases itself sound? These stop before any image is read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_prep.checks.registry import Remark, check
from data_prep.checks.subjects import DatasetSubject
from data_prep.errors import DataListError
from data_prep.reading import EXTENSIONS, extension

UNUSABLE_ID = re.compile(r"^\.|[/\\\x00-\x1f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST_ID = 200  # the id becomes a file name, with endings added


def seen(fault: DataListError, code: str) -> str | None:
    """The sentence of a fault that has this code already."""
    return str(fault).removeprefix(f"{fault.file}: ") if fault.code == code else None


def told(subject: DatasetSubject, code: str) -> Iterator[Remark]:
    """What the layout's reader passed over, of one code."""
    for fault in subject.faults:
        if fault.code == code:
            yield Remark(fault.message, fault.case, str(fault.file or ""))


@check("D501", on="datalist", level="error", remedy="Correct the JSON, or write it anew: monai-hybrid build --help")
def not_json(fault: DataListError) -> str | None:
    """A list or description is not readable as JSON, or a key appears twice."""
    return seen(fault, "D501")


@check("D502", on="datalist", level="error", remedy="Correct that place, or write the files anew: monai-hybrid build --help")
def against_schema(fault: DataListError) -> str | None:
    """A list or description lacks a key, or a value is of the wrong kind."""
    return seen(fault, "D502")


@check("D503", on="datalist", level="error", remedy="Put the files where the layout expects them: monai-hybrid build --help")
def layout_broken(fault: DataListError) -> str | None:
    """A folder does not hold what its layout or its own description promises."""
    return seen(fault, "D503")


@check("D504", on="dataset", level="error", remedy="Rename it with letters, digits, - and _ only: mv {file} NEW_NAME")
def id_unusable(subject: DatasetSubject) -> Iterator[Remark]:
    """A case id cannot be a file name: results could be written elsewhere, or be shown as another name."""
    for case in subject.cases:
        if UNUSABLE_ID.search(case.case_id) or len(case.case_id) > LONGEST_ID:
            shown = ascii(case.case_id if len(case.case_id) <= 60 else f"{case.case_id[:60]}...")
            message = f"case id {shown}; expected at most {LONGEST_ID} characters without slash, control or direction marks"
            yield Remark(f"{message}, not beginning with a dot", case.case_id, str(case.images[0]))


@check("D505", on="dataset", level="warning", remedy="Number the folds from 0 on, without gaps, in datalist.json")
def folds_with_gaps(subject: DatasetSubject) -> Iterator[Remark]:
    """The fold numbers have gaps: a run over all folds would meet an empty one."""
    folds = sorted({fold for fold in subject.folds if fold is not None})
    if folds and folds != list(range(len(folds))):
        yield Remark(f"folds {', '.join(map(str, folds))}; expected 0 to {len(folds) - 1}")


@check(
    "D506",
    on="dataset",
    level="warning",
    remedy="If they are scans, convert them to NIfTI; else move them away: mv -n {file} ..",
)
def unknown_formats(subject: DatasetSubject) -> Iterator[Remark]:
    """A file beside the images is of an unknown format and is left out."""
    for path in subject.ignored:
        yield Remark(f"left out: its name ends with none of {', '.join(EXTENSIONS)}", "", str(path))


@check(
    "D507",
    on="datalist",
    level="error",
    remedy="What is read: NIfTI, PNG, JPEG, TIFF, BMP, GIF, MHA, NRRD, and folders of DICOM: monai-hybrid build --help",
)
def no_images_but_foreign_files(fault: DataListError) -> str | None:
    """A folder holds archives in the place of images, or DICOM that cannot be read here."""
    return seen(fault, "D507")


@check(
    "D509",
    on="dataset",
    level="note",
    remedy="Nothing to do here; for other programs, small letters: monai-hybrid repair FOLDER --output OUT",
)
def ending_in_capitals(subject: DatasetSubject) -> Iterator[Remark]:
    """A file's ending has capitals, which some readers do not know."""
    for case in subject.cases:
        for path in (*case.images, *([case.label] if case.label is not None else [])):
            end = extension(path)
            if end is not None and not path.name.endswith(end):
                yield Remark(
                    f"its name ends in {path.name[-len(end) :]}; nibabel and others look for {end}", case.case_id, str(path)
                )
