"""D51x and D52x: is a DICOM series one volume? Headers tell; nothing is guessed."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.checks.registry import check
from data_prep.foreign import ARCHIVE_NAMES
from data_prep.reading import EXTENSIONS
from data_prep.volume import ReadError

if TYPE_CHECKING:
    from data_prep.dicom.headers import Found
    from data_prep.dicom.series import Series

NEVER_SCANS = (
    *(".json", ".csv", ".tsv", ".txt", ".md", ".bval", ".bvec", ".xml", ".html", ".htm", ".css", ".js", ".pdf", ".log"),
    *(".exe", ".dll", ".inf", ".ini", ".ico", ".jar", ".sh", ".bat"),
)

COPY_SERIES = "Fetch the series again, whole, or take it out of the folder; where it lies: python -m data_prep who {file}"
CHOOSE = "Choose with --series, by the words that the message gives"
TAKE_OUT = "take it out of the folder; where it lies: python -m data_prep who {file}"
CONVERT = "mkdir OUT && dcm2niix -z y -f series_%s -o OUT FOLDER, with the FOLDER that python -m data_prep who {file} tells"


def _said(series: Series, code: str) -> str | None:
    told = "; ".join(problem.message for problem in series.problems if problem.code == code)
    return f"{series.title}: {told}" if told else None


@check("D510", on="series", level="error", remedy=COPY_SERIES)
def slice_missing(series: Series) -> str | None:
    """A DICOM series lacks a slice."""
    return _said(series, "D510")


@check("D511", on="series", level="error", remedy=CHOOSE)
def several_at_a_place(series: Series) -> str | None:
    """A DICOM series has several slices at one place: echoes, phases, b-values, or slices stored twice."""
    return _said(series, "D511")


@check(
    "D512", on="series", level="error", remedy=f"Fetch it again; if it was scanned so, let a converter resample it: {CONVERT}"
)
def unequal_steps(series: Series) -> str | None:
    """The slices of a DICOM series do not lie on a regular grid."""
    return _said(series, "D512")


@check("D513", on="series", level="error", remedy=f"Let a converter straighten it and take its file _Tilt: {CONVERT}")
def gantry_tilt(series: Series) -> str | None:
    """A DICOM series leans: its slices are not stacked along their normal (gantry tilt)."""
    return _said(series, "D513")


@check("D514", on="series", level="note", remedy="Nothing to do; it is left out")
def scout(series: Series) -> str | None:
    """A DICOM series is a localiser or scout and is left out."""
    return _said(series, "D514")


@check("D515", on="series", level="note", remedy="Nothing to do; it is left out")
def no_volume(series: Series) -> str | None:
    """A DICOM series is a secondary capture or holds colours, and is left out."""
    return _said(series, "D515")


@check("D516", on="series", level="error", remedy=COPY_SERIES)
def short_file(series: Series) -> str | None:
    """A file of a DICOM series stops before its last pixel."""
    return _said(series, "D516")


@check("D517", on="series", level="error", acceptable=True, remedy=f"If slices are absent, fetch them; else {TAKE_OUT}")
def one_slice(series: Series) -> str | None:
    """A DICOM series has one slice."""
    return _said(series, "D517")


@check("D518", on="series", level="error", acceptable=True, remedy=f"Find out which slices belong together, or {TAKE_OUT}")
def several_frames_of_reference(series: Series) -> str | None:
    """The slices of a DICOM series are in several frames of reference: the patient may have moved between them."""
    return _said(series, "D518")


@check("D519", on="series", level="error", remedy=CHOOSE)
def mixed_grids(series: Series) -> str | None:
    """A DICOM series mixes images of several sizes, pixel spacings or orientations."""
    return _said(series, "D519")


@check("D520", on="series", level="error", remedy=f"If it is an X-ray or a photograph, export it as PNG; else {TAKE_OUT}")
def without_place(series: Series) -> str | None:
    """The headers of a DICOM series do not say where its slices lie."""
    return _said(series, "D520")


@check("D521", on="fault", level="error", remedy='Install the decoders: pip install "monai-hybrid[dicom]"')
def no_decoder(fault: ReadError) -> str | None:
    """The pixels of a DICOM file are compressed in a way that nothing installed here decodes."""
    return fault.seen if fault.kind == "no_decoder" else None


@check("D522", on="series", level="error", remedy=f"Let a converter unfold it: {CONVERT}")
def mosaic(series: Series) -> str | None:
    """A DICOM series holds mosaics: each image shows many slices as tiles."""
    return _said(series, "D522")


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
    return f"({', '.join(end or 'without a known ending' for end in ends[:5])}{', ...' if len(ends) > 5 else ''})"


@check("D524", on="dicom_folder", level="note", remedy="If they lead to scans, give those folders themselves")
def links(found: Found) -> str | None:
    """Folders of DICOM that are links are not followed: they may lead in circles."""
    return f"links to folders: {len(found.links)}" if found.links else None


@check("D525", on="series", level="note", remedy="Nothing to do; each is read once")
def copied_files(series: Series) -> str | None:
    """Files of a DICOM series are there twice."""
    return _said(series, "D525")


@check("D526", on="series", level="note", remedy="Nothing to do; values are kept as they were measured, not inverted")
def low_is_white(series: Series) -> str | None:
    """A DICOM series is stored as MONOCHROME1: low values are meant to be shown white."""
    return _said(series, "D526")


@check(
    "D527",
    on="series",
    level="error",
    acceptable=True,
    remedy="Correct the PatientID of the slices that have a wrong one, or fetch the series again; where it lies: "
    "python -m data_prep who {file}",
)
def uid_of_several_patients(series: Series) -> str | None:
    """A DICOM series is of several patients by its headers: a half of it would pass for a whole."""
    return _said(series, "D527")
