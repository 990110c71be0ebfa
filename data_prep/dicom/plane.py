"""One image plane as its header tells it: a file of one slice, or one frame of a multi-frame file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFLATED = "1.2.840.10008.1.2.1.99"
UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", DEFLATED, "1.2.840.10008.1.2.2")


@dataclass(frozen=True)
class Plane:
    """Facts of one plane. Lengths in mm, LPS; None where the header does not say.

    `frame` counts from 0 within its file. `orientation` holds the directions of increasing column and row index.
    `spacing` is between rows, between columns, as DICOM has it. `tells` are the values that may part planes at one place,
    by keyword, in the order in which they are tried. `identifiers` are words that no output may show.
    `short` is the sentence about a file that holds fewer bytes than it says, "" for a whole one.
    """

    file: Path
    frame: int
    frames: int
    sop_uid: str
    sop_class: str
    syntax: str
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    patient_id: str
    identifiers: tuple[str, ...]
    modality: str
    description: str
    number: str
    image_type: tuple[str, ...]
    rows: int
    columns: int
    samples: int
    photometric: str
    bits: int
    orientation: tuple[float, ...] | None
    position: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    slope: float
    intercept: float
    tells: tuple[tuple[str, str], ...] = ()
    short: str = ""

    @property
    def expected_bytes(self) -> int:
        """Bytes that the voxels of the whole file take when they are not compressed."""
        return (self.rows * self.columns * self.samples * self.frames * self.bits + 7) // 8
