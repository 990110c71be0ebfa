"""D51x and D52x: is a DICOM series one volume? Headers tell; nothing is guessed."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.amounts import few
from data_prep.checks.registry import check, check_kind
from data_prep.foreign import ARCHIVE_NAMES
from data_prep.reading import EXTENSIONS

if TYPE_CHECKING:
    from data_prep.dicom.headers import Found
    from data_prep.dicom.series import Series

NEVER_SCANS = (
    *(".json", ".csv", ".tsv", ".txt", ".md", ".bval", ".bvec", ".xml", ".html", ".htm", ".css", ".js", ".pdf", ".log"),
    *(".exe", ".dll", ".inf", ".ini", ".ico", ".jar", ".sh", ".bat"),
)

COPY_SERIES = "Fetch the series again, whole, or take it out of the folder; where it lies: monai-hybrid who {file}"
CHOOSE = "Choose with --series, by the words that the message gives"
TAKE_OUT = "take it out of the folder; where it lies: monai-hybrid who {file}"
CONVERT = "mkdir OUT && dcm2niix -z y -f series_%s -o OUT FOLDER, with the FOLDER that monai-hybrid who {file} tells"


def _series(code: str, title: str, level: str, remedy: str, acceptable: bool = False) -> None:
    """Register the check that tells a series' problems of one code."""

    def said(series: Series) -> str | None:
        told = "; ".join(problem.message for problem in series.problems if problem.code == code)
        return f"{series.title}: {told}" if told else None

    said.__doc__ = title
    check(code, on="series", level=level, remedy=remedy, acceptable=acceptable)(said)


_series("D510", "A DICOM series lacks a slice.", level="error", remedy=COPY_SERIES)
_series(
    "D511",
    "A DICOM series has several slices at one place: echoes, phases, b-values, or slices stored twice.",
    level="error",
    remedy=CHOOSE,
)
_series(
    "D512",
    "The slices of a DICOM series do not lie on a regular grid.",
    level="error",
    remedy=f"Fetch it again; if it was scanned so, let a converter resample it: {CONVERT}",
)
_series(
    "D513",
    "A DICOM series leans: its slices are not stacked along their normal (gantry tilt).",
    level="error",
    remedy=f"Let a converter straighten it and take its file _Tilt: {CONVERT}",
)
_series("D514", "A DICOM series is a localiser or scout and is left out.", level="note", remedy="Nothing to do; it is left out")
_series(
    "D515",
    "A DICOM series is a secondary capture or holds colours, and is left out.",
    level="note",
    remedy="Nothing to do; it is left out",
)
_series("D516", "A file of a DICOM series stops before its last pixel.", level="error", remedy=COPY_SERIES)
_series(
    "D517",
    "A DICOM series has one slice.",
    level="error",
    acceptable=True,
    remedy=f"If slices are absent, fetch them; else {TAKE_OUT}",
)
_series(
    "D518",
    "The slices of a DICOM series are in several frames of reference: the patient may have moved between them.",
    level="error",
    acceptable=True,
    remedy=f"Find out which slices belong together, or {TAKE_OUT}",
)
_series("D519", "A DICOM series mixes images of several sizes, pixel spacings or orientations.", level="error", remedy=CHOOSE)
_series(
    "D520",
    "The headers of a DICOM series do not say where its slices lie.",
    level="error",
    remedy=f"If it is an X-ray or a photograph, export it as PNG; else {TAKE_OUT}",
)
check_kind(
    "no_decoder",
    code="D521",
    title="The pixels of a DICOM file are compressed in a way that nothing installed here decodes.",
    level="error",
    remedy="Install the decoders: {dicom_install}",
)
_series(
    "D522",
    "A DICOM series holds mosaics: each image shows many slices as tiles.",
    level="error",
    remedy=f"Let a converter unfold it: {CONVERT}",
)


@check("D523", on="dicom_folder", level="note", remedy="If they are scans, give them apart; archives, unpacked")
def strangers(found: Found) -> str | None:
    """Files beside DICOM are no DICOM and are left out."""
    files = [path for path in found.strangers if _may_be_scan(path)]
    return f"left out: {len(files)} {_endings(files)}" if files else None


def _may_be_scan(path: Path) -> bool:
    return path.suffix.lower() not in NEVER_SCANS


def _endings(files: list[Path]) -> str:
    """How their names end, and never how they begin: exports name files after patients."""
    known = {*mimetypes.types_map, *EXTENSIONS, *ARCHIVE_NAMES, ".gz"}  # a name may stand behind a dot, too
    ends = sorted({path.suffix.lower() if path.suffix.lower() in known else "" for path in files})
    return f"({few([end or 'without a known ending' for end in ends], 5)})"


@check("D524", on="dicom_folder", level="note", remedy="If they lead to scans, give those folders themselves")
def links(found: Found) -> str | None:
    """Folders of DICOM that are links are not followed: they may lead in circles."""
    return f"links to folders: {len(found.links)}" if found.links else None


_series("D525", "Files of a DICOM series are there twice.", level="note", remedy="Nothing to do; each is read once")
_series(
    "D526",
    "A DICOM series is stored as MONOCHROME1: low values are meant to be shown white.",
    level="note",
    remedy="Nothing to do; values are kept as they were measured, not inverted",
)
_series(
    "D527",
    "A DICOM series is of several patients by its headers: a half of it would pass for a whole.",
    level="error",
    acceptable=True,
    remedy="Correct the PatientID of the slices that have a wrong one, or fetch the series again; where it lies: "
    "monai-hybrid who {file}",
)
