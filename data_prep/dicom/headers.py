"""Headers of DICOM files: found in a folder by their content, read without the pixels, and never trusted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from sys import intern
from typing import Any

from data_prep.dicom.codestream import short_fragments
from data_prep.dicom.frames import frames_of
from data_prep.dicom.header_bytes import dataset_of, head_of, kind_of
from data_prep.dicom.library import quiet
from data_prep.dicom.plane import DEFLATED, UNCOMPRESSED, Plane
from data_prep.dicom.tags import IDENTIFIERS, MEDIA_DIRECTORY, SEGMENTATIONS, STORAGE, STRUCTURES, TELLS, WITHOUT_PIXELS
from data_prep.dicom.values import number, numbers, text, texts, whole
from data_prep.foreign import looks_like_dicom
from data_prep.naming import naming
from data_prep.nifti import MAX_BYTES
from data_prep.progress import told
from data_prep.volume import ReadError

UNDEFINED = 0xFFFFFFFF  # length of what ends with a mark


@dataclass
class Found:
    """What a folder holds: planes of images, files of labels, files that no image can be made of, and faults."""

    planes: list[Plane] = field(default_factory=list)
    segmentations: list[Path] = field(default_factory=list)
    structures: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)  # DICOM without pixels: reports, plans, a DICOMDIR
    faults: list[tuple[Path, ReadError]] = field(default_factory=list)
    strangers: list[Path] = field(default_factory=list)  # no DICOM
    links: list[Path] = field(default_factory=list)  # folders that are links: not followed, they may lead in circles


def read_headers(folder: Path, leave_out: Sequence[Path] = ()) -> Found:
    """Read the header of every DICOM file below a folder, or of one file.

    Args:
        folder: any nesting, any names.
        leave_out: folders that are not entered.

    Raises:
        EnvironmentFault: pydicom is not installed.
    """
    found = Found()
    naming().below(folder)
    with quiet():
        for path in told(list(_files(folder, set(leave_out), found.links)), "DICOM headers read"):
            try:
                head = head_of(path)
                if looks_like_dicom(head, path.name):
                    _sort_in(found, path, head)
                elif head:
                    found.strangers.append(path)
            except ReadError as fault:
                found.faults.append((path, fault))
    return found


def _files(folder: Path, leave_out: set[Path], links: list[Path]) -> Iterator[Path]:
    if not folder.is_dir():
        yield folder
        return
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        links += [here / name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and here / name not in leave_out)
        yield from (here / name for name in sorted(names) if not name.startswith("."))


def _sort_in(found: Found, path: Path, head: bytes) -> None:
    kind = kind_of(head)
    drawer = _drawer(found, kind)
    if drawer is None:
        dataset, end = dataset_of(path, head)
        own = text(dataset, "SOPClassUID")  # a file without a preamble says its kind here alone
        drawer = _drawer(found, own)
        if drawer is None and "Rows" in dataset:
            found.planes += _planes(path, dataset, end)
            return
        if drawer is None and (kind or own).startswith(STORAGE):
            raise ReadError("truncated", "its DICOM header stops before it says how large the image is")
    (found.others if drawer is None else drawer).append(path)


def _drawer(found: Found, kind: str) -> list[Path] | None:
    """Where a file of this SOP class belongs; None for images, and for what may be one."""
    if kind in SEGMENTATIONS:
        return found.segmentations
    if kind == STRUCTURES:
        return found.structures
    return found.others if kind == MEDIA_DIRECTORY or kind.startswith(WITHOUT_PIXELS) else None


def _planes(path: Path, dataset: Any, end: tuple[int, int] | None) -> list[Plane]:
    try:
        plane = _plane(path, dataset)
        frames = frames_of(dataset, plane) if plane.frames > 1 or "PerFrameFunctionalGroupsSequence" in dataset else [plane]
    except ReadError:
        raise
    except Exception as error:
        raise ReadError("damaged", f"a value in its DICOM header cannot be read ({type(error).__name__})") from error
    if end is not None:
        _refuse_more(plane, end[1])
    short = _short(plane, end, path.stat().st_size)
    return [replace(one, short=short) for one in frames] if short else frames


def _refuse_more(plane: Plane, length: int) -> None:
    """A part of what is there would pass for a whole scan; less than a frame is padding."""
    packed = plane.syntax not in UNCOMPRESSED or plane.syntax == DEFLATED
    asked = plane.expected_bytes
    if not packed and length != UNDEFINED and length >= asked + max(asked // plane.frames, 2):
        raise ReadError("damaged", f"its pixel data has {length} bytes; its header asks for {asked} only")


def _short(plane: Plane, end: tuple[int, int] | None, size: int) -> str:
    """What is wrong with the number of bytes; "" when the file can hold what its header promises."""
    if end is None:
        return "it stops before its pixel data"
    start, length = end
    there = size - start
    packed = plane.syntax not in UNCOMPRESSED or plane.syntax == DEFLATED
    if not packed and there < plane.expected_bytes:
        return f"it holds {max(there, 0)} bytes of pixels; its header asks for {plane.expected_bytes}"
    if length != UNDEFINED and not packed and length < plane.expected_bytes:
        return f"its pixel data has {length} bytes; its header asks for {plane.expected_bytes}"
    if packed and plane.syntax != DEFLATED:
        return short_fragments(plane.file, start, plane.frames)
    return ""


def _plane(path: Path, dataset: Any) -> Plane:
    """The header as one plane; `frames_of` makes the planes of a multi-frame file of it.

    Raises:
        ReadError: it asks for more than memory may hold.
    """
    meta = dataset.file_meta
    plane = Plane(
        file=path,
        frame=0,
        frames=max(1, whole(dataset, "NumberOfFrames", 1)),
        sop_uid=text(dataset, "SOPInstanceUID"),
        sop_class=intern(text(dataset, "SOPClassUID")),
        syntax=intern(text(meta, "TransferSyntaxUID") or UNCOMPRESSED[0]),
        series_uid=intern(text(dataset, "SeriesInstanceUID")),
        study_uid=intern(text(dataset, "StudyInstanceUID")),
        frame_of_reference_uid=intern(text(dataset, "FrameOfReferenceUID")),
        patient_id=intern(_patient(dataset)),
        identifiers=tuple(intern(one) for name in IDENTIFIERS for one in texts(dataset, name)),
        modality=intern(text(dataset, "Modality")),
        description=intern(text(dataset, "SeriesDescription")),
        number=intern(text(dataset, "SeriesNumber")),
        image_type=tuple(intern(one.upper()) for one in texts(dataset, "ImageType")),
        rows=whole(dataset, "Rows"),
        columns=whole(dataset, "Columns"),
        samples=whole(dataset, "SamplesPerPixel", 1),
        photometric=intern(text(dataset, "PhotometricInterpretation") or "MONOCHROME2"),
        bits=whole(dataset, "BitsAllocated", 16),
        orientation=numbers(dataset, "ImageOrientationPatient", 6),
        position=numbers(dataset, "ImagePositionPatient", 3),
        spacing=numbers(dataset, "PixelSpacing", 2),
        thickness=(numbers(dataset, "SliceThickness", 1) or (None,))[0],
        slope=number(dataset, "RescaleSlope", 1.0) or 1.0,
        intercept=number(dataset, "RescaleIntercept", 0.0) or 0.0,
        tells=tuple((name, intern("\\".join(texts(dataset, name)))) for name in TELLS if name in dataset),
    )
    _hold_to_memory(plane)
    return plane


def _patient(dataset: Any) -> str:
    """PatientID; without one, name and birth date where both are there."""
    name, birth = text(dataset, "PatientName"), text(dataset, "PatientBirthDate")
    return text(dataset, "PatientID") or (f"{name}|{birth}" if name and birth else "")


def _hold_to_memory(plane: Plane) -> None:
    sizes = {"Rows": plane.rows, "Columns": plane.columns, "SamplesPerPixel": plane.samples, "BitsAllocated": plane.bits}
    wrong = next((name for name, value in sizes.items() if value < 1), None)
    if wrong:
        raise ReadError("damaged", f"its header gives {wrong} {sizes[wrong]}")
    if plane.expected_bytes > MAX_BYTES:
        asked = f"{plane.columns} x {plane.rows} voxels, {plane.frames} frames"
        limit = f"the limit is {MAX_BYTES / 2**30:.0f} GiB"
        raise ReadError("too_large", f"its header asks for {plane.expected_bytes / 2**30:.1f} GiB ({asked}); {limit}")
