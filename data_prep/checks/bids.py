"""D540 to D549: does a BIDS data set say which images and which labels are meant?"""

from __future__ import annotations

from collections.abc import Iterator

from data_prep.checks.datalist import seen, told
from data_prep.checks.registry import Remark, check, check_kind
from data_prep.checks.subjects import DatasetSubject
from data_prep.errors import DataListError


@check("D540", on="datalist", level="error", remedy="Choose by --bids-filter, of check, build and predict: docs/how-to/bids.md")
def contrast_not_chosen(fault: DataListError) -> str | None:
    """BIDS: several contrasts could be meant, or none fits `--bids-filter`."""
    return seen(fault, "D540")


check_kind(
    "pointer",
    code="D541",
    title="A file's content is not here: git-annex (datalad) left a link or a pointer in its place.",
    level="error",
    remedy="Fetch it: datalad get {file} (git annex get)",
)


@check("D542", on="dataset", level="error", acceptable=True, remedy="Rename it, or leave it out: {case}")
def name_not_bids(subject: DatasetSubject) -> Iterator[Remark]:
    """BIDS: a file's name is none, or says another subject or session than its folder; the file is left out."""
    yield from told(subject, "D542")


@check("D543", on="datalist", level="error", remedy="Choose by --labels-dir and --bids-labels, of check and build")
def labels_not_chosen(fault: DataListError) -> str | None:
    """BIDS: labels of several pipelines, persons or kinds could be meant."""
    return seen(fault, "D543")


@check(
    "D544", on="datalist", level="error", remedy="Correct that table: one row per value, columns index and name, tabs between"
)
def names_broken(fault: DataListError) -> str | None:
    """BIDS: a table of label names (dseg.tsv) is broken, or two of them disagree."""
    return seen(fault, "D544")


@check(
    "D545", on="dataset", level="warning", remedy="Correct that line; until then the site of its subject is not used: {file}"
)
def participants_broken(subject: DatasetSubject) -> Iterator[Remark]:
    """BIDS: participants.tsv is broken, so a site is not used."""
    yield from told(subject, "D545")


@check("D546", on="datalist", level="error", remedy="Give a data set with images of one volume each, such as T1w or sbref")
def series_or_microscopy(fault: DataListError) -> str | None:
    """BIDS: only series of volumes (bold, dwi, ...) or microscopy are there, or were asked for."""
    return seen(fault, "D546")


@check(
    "D547",
    on="dataset",
    level="error",
    acceptable=True,
    remedy="Add the missing contrast, or ask for fewer: --bids-filter",
)
def contrast_missing(subject: DatasetSubject) -> Iterator[Remark]:
    """BIDS: a scan lacks one of the contrasts that were chosen; it is left out."""
    yield from told(subject, "D547")


@check("D548", on="dataset", level="warning", remedy="If it is a part of a datalad data set, fetch it: datalad get {file}")
def folder_empty(subject: DatasetSubject) -> Iterator[Remark]:
    """BIDS: a folder of a subject or of derivatives/ is empty, as parts of a data set that were not fetched are."""
    yield from told(subject, "D548")


@check(
    "D549",
    on="dataset",
    level="error",
    remedy="Choose one of the scans (--bids-filter run=1), or name the run in the label: {file}",
)
def label_shared(subject: DatasetSubject) -> Iterator[Remark]:
    """BIDS: one label fits several scans of a session."""
    yield from told(subject, "D549")
