"""Headers of DICOM files: found in a folder by their content, read without the pixels, and never trusted."""

from __future__ import annotations

import io
import math
import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from sys import intern
from typing import Any

from data_prep.dicom.codestream import short_fragments
from data_prep.dicom.frames import FRAME_TAGS, frames_of
from data_prep.dicom.library import quiet
from data_prep.dicom.plane import UNCOMPRESSED, Plane
from data_prep.dicom.tags import IDENTIFIERS, MEDIA_DIRECTORY, SEGMENTATION, STORAGE, STRUCTURES, TAGS, TELLS, WITHOUT_PIXELS
from data_prep.dicom.values import number, numbers, text, texts, whole
from data_prep.foreign import looks_like_dicom
from data_prep.nifti import MAX_BYTES
from data_prep.progress import told
from data_prep.volume import ReadError

HEAD = 2**17  # bytes of a file that most headers lie in
MOST = 2**25  # bytes of the longest header: 10,000 frames of an enhanced file
MOST_INFLATED = 2**28
ITEMS = 400_000  # items of sequences in a header; each takes a kilobyte once it is read
ITEM = b"\xfe\xff\x00\xe0"
AT = 128  # bytes before the prefix (PS3.10, section 7.1)
DEFLATED = b"1.2.840.10008.1.2.1.99"
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # float, double and integer pixel data


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
    with quiet():
        for path in told(list(_files(folder, set(leave_out), found.links)), "DICOM headers read"):
            try:
                head = _head(path)
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


def _head(path: Path) -> bytes:
    """The first bytes of a regular file; b"" for anything else, and for what the system refuses."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or not status.st_size:  # files of the kernel say size 0, and some never end
            return b""
        with path.open("rb") as handle:
            return handle.read(HEAD)
    except FileNotFoundError:
        return b""  # a dangling link
    except OSError as error:
        raise ReadError("unreadable", f"the system says: {error.strerror}") from error


def _sort_in(found: Found, path: Path, head: bytes) -> None:
    kind = _kind(head)
    if kind == SEGMENTATION:
        found.segmentations.append(path)
    elif kind == STRUCTURES:
        found.structures.append(path)
    elif kind == MEDIA_DIRECTORY or kind.startswith(WITHOUT_PIXELS):
        found.others.append(path)
    else:
        dataset, end = _dataset(path, head)
        if "Rows" in dataset:
            found.planes += _planes(path, dataset, end)
        elif (kind or text(dataset, "SOPClassUID")).startswith(STORAGE):
            raise ReadError("truncated", "its DICOM header stops before it says how large the image is")
        else:
            found.others.append(path)


def _kind(head: bytes) -> str:
    """The SOP class as the file's own beginning says, so that nothing more is read of what is no image; "" if it does not."""
    if head[AT : AT + 4] != b"DICM":
        return ""
    at = head.find(b"\x02\x00\x02\x00UI", AT, 1024)
    size = int.from_bytes(head[at + 6 : at + 8], "little")
    return head[at + 8 : at + 8 + size].decode("ascii", "replace").strip(" \0") if at > 0 and size <= 64 else ""


def _dataset(path: Path, head: bytes) -> tuple[Any, tuple[int, int] | None]:
    """The data set before the pixels, and where these begin and how many bytes they say; None: there are none."""
    size = path.stat().st_size
    if DEFLATED in head[AT : AT + 1024]:
        return _parse(_inflated(path), size)
    if size <= len(head):
        return _parse(head, size)
    with suppress(ReadError):  # the first bytes may end within an element
        dataset, end = _parse(head, size)
        if end is not None:
            return dataset, end
    with path.open("rb") as handle:
        return _parse(handle.read(MOST), size)


def _inflated(path: Path) -> bytes:
    """A deflated file as it is, once it is known that it unpacks to no more than memory holds."""
    raw = path.read_bytes()
    at = raw.find(b"\x02\x00\x00\x00UL\x04\x00")
    start = at + 12 + int.from_bytes(raw[at + 8 : at + 12], "little") if at >= 0 else 0
    stream, size, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, raw[start:]
    try:
        while rest and not stream.eof:
            size += len(stream.decompress(rest, 2**24))
            rest = stream.unconsumed_tail
            if size > MOST_INFLATED:
                raise ReadError("too_large", f"it unpacks to more than {MOST_INFLATED // 2**20} MiB")
    except zlib.error as error:
        raise ReadError("damaged", "its compressed part (deflate) is damaged") from error
    return raw


def _parse(raw: bytes, size: int) -> tuple[Any, tuple[int, int] | None]:
    from pydicom.filereader import read_partial

    if raw.count(ITEM) > ITEMS:
        raise ReadError("too_large", f"its header holds more than {ITEMS} items of sequences")
    stream, pixels = io.BytesIO(raw), []

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if tag in PIXELS:
            pixels.append((stream.tell(), length))
        return tag >= PIXELS[0]

    try:
        dataset = read_partial(stream, stop_when=at_pixels, specific_tags=_tags(), force=True)
    except MemoryError:
        raise
    except Exception as error:  # pydicom has no one error class for what can be wrong; its words may quote the file
        raise ReadError("damaged", f"its DICOM header is damaged ({type(error).__name__})") from error
    if not len(dataset) and not len(dataset.file_meta):
        raise ReadError("not_an_image", "it holds no DICOM element")
    return dataset, pixels[0] if pixels else None


@cache
def _tags() -> list[Any]:
    from pydicom.tag import Tag

    return [Tag(name) for name in (*TAGS, *FRAME_TAGS)]


def _planes(path: Path, dataset: Any, end: tuple[int, int] | None) -> list[Plane]:
    try:
        plane = _plane(path, dataset)
        frames = frames_of(dataset, plane) if plane.frames > 1 or "PerFrameFunctionalGroupsSequence" in dataset else [plane]
    except ReadError:
        raise
    except Exception as error:
        raise ReadError("damaged", f"a value in its DICOM header is no such value ({type(error).__name__})") from error
    short = _short(plane, end, path.stat().st_size)
    return [replace(one, short=short) for one in frames] if short else frames


def _short(plane: Plane, end: tuple[int, int] | None, size: int) -> str:
    """What is wrong with the number of bytes; "" when the file can hold what its header promises."""
    if end is None:
        return "it stops before its pixel data"
    start, length = end
    there = size - start
    packed = plane.syntax not in UNCOMPRESSED or plane.syntax == DEFLATED.decode()
    if not packed and there < plane.expected_bytes:
        return f"it holds {max(there, 0)} bytes of pixels; its header asks for {plane.expected_bytes}"
    if length != 0xFFFFFFFF and not packed and length < plane.expected_bytes:
        return f"its pixel data says {length} bytes; its header asks for {plane.expected_bytes}"
    if packed and plane.syntax != DEFLATED.decode():
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
        patient_id=intern(text(dataset, "PatientID")),
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


def _hold_to_memory(plane: Plane) -> None:
    sizes = {"Rows": plane.rows, "Columns": plane.columns, "SamplesPerPixel": plane.samples, "BitsAllocated": plane.bits}
    wrong = next((name for name, value in sizes.items() if value < 1), None)
    if wrong:
        raise ReadError("damaged", f"its header gives {wrong} {sizes[wrong]}")
    if plane.expected_bytes > MAX_BYTES:
        asked = f"{plane.columns} x {plane.rows} voxels, {plane.frames} frames"
        limit = f"the limit is {MAX_BYTES / 2**30:.0f} GiB"
        raise ReadError("too_large", f"its header asks for {plane.expected_bytes / 2**30:.1f} GiB ({asked}); {limit}")
    if not all(math.isfinite(value) for value in (plane.slope, plane.intercept)):
        raise ReadError("damaged", f"its rescaling is {plane.slope:g} x + {plane.intercept:g}")
