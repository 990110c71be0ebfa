"""What compressed pixels state themselves, held to the header before a decoder allocates what they ask for; and their end."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.volume import ReadError

END_OF_IMAGE = b"\xff\xd9"  # of JPEG, JPEG-LS and JPEG 2000
PADDING = 16  # bytes that may stand behind it
JPEG_STARTS = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
ITEM, END = 0xE000FFFE, 0xE0DDFFFE  # as little-endian words
SEARCHED = 2**16


class Stream(NamedTuple):
    """What a code stream states: its size, colours a pixel, and bits a value."""

    rows: int
    columns: int
    samples: int
    bits: int


def check_codestream(dataset: Any, header: Stream, frames: int) -> None:
    """Hold each frame's own size, colours and bits to those of the header, and look for its end.

    Decoders of JPEG and JPEG-LS make up what a shortened stream lacks, so its end mark is asked for.

    Raises:
        ReadError: "damaged", a frame states otherwise, or stops early.
    """
    from pydicom.encaps import generate_frames

    offsets = [dataset.get(name) for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")]
    extended = (offsets[0], offsets[1]) if all(offsets) else None
    for frame in generate_frames(dataset.PixelData, number_of_frames=frames, extended_offsets=extended):
        stream = stream_of(frame[:SEARCHED])
        if stream is None:
            continue
        if stream[:2] != header[:2]:
            seen, expected = (f"{one.columns} x {one.rows}" for one in (stream, header))
            raise ReadError("damaged", f"its pixels are {seen}; expected {expected}")
        if stream.samples != header.samples or stream.bits > header.bits:
            seen, expected = (f"{one.samples} values of {one.bits} bits" for one in (stream, header))
            raise ReadError("damaged", f"a compressed pixel has {seen}; the header says {expected}")
        if END_OF_IMAGE not in frame.rstrip(b"\0")[-PADDING:]:
            raise ReadError("damaged", "its compressed pixels stop before their end mark")


def short_fragments(path: Path, start: int, frames: int) -> str:
    """What is wrong with the items in which packed pixels lie (PS3.5, section A.4); "" when they reach their end mark.

    Args:
        path: the file; only the heads of the items are read.
        start: where the first item begins.
        frames: each takes one item or more, after the table of offsets.
    """
    count, at, size = 0, start, path.stat().st_size
    with path.open("rb") as handle:
        while at + 8 <= size:
            handle.seek(at)
            tag, length = struct.unpack("<II", handle.read(8).ljust(8, b"\0"))
            if tag == END:
                return "" if count > frames else f"it holds {max(count - 1, 0)} compressed pictures; expected {frames}"
            if tag != ITEM:
                return "its compressed pixels are not a chain of DICOM items"
            count, at = count + 1, at + 8 + length
    return "it stops within its compressed pixels"


def stream_of(head: bytes) -> Stream | None:
    """What a JPEG, JPEG-LS or JPEG 2000 code stream states; None for anything else."""
    if head[:4] == b"\xff\x4f\xff\x51":
        right, low, left, top = (int.from_bytes(head[8 + 4 * i : 12 + 4 * i], "big") for i in range(4))
        return Stream(low - top, right - left, int.from_bytes(head[40:42], "big"), max(head[42:43] or b"\0") % 128 + 1)
    at = 2
    while head[:2] == b"\xff\xd8" and at + 10 <= len(head) and head[at] == 0xFF:
        if head[at + 1] in JPEG_STARTS:
            rows, columns = (int.from_bytes(head[at + start : at + start + 2], "big") for start in (5, 7))
            return Stream(rows, columns, head[at + 9], head[at + 4])
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None
