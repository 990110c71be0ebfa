"""Sizes that compressed pixels state themselves, held to the header before a decoder allocates what they ask for."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from data_prep.dicom.plane import Plane
from data_prep.volume import ReadError

J2K_SIZE = b"\xff\x51"
JPEG_STARTS = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
ITEM, END = 0xE000FFFE, 0xE0DDFFFE  # as little-endian words
SEARCHED = 2**16


def check_codestream(dataset: Any, plane: Plane) -> None:
    """Hold each frame's own size to Rows and Columns.

    Raises:
        ReadError: "damaged", a frame states another size.
    """
    from pydicom.encaps import generate_fragments

    for fragment in generate_fragments(dataset.PixelData):
        size = codestream_size(fragment[:SEARCHED])
        if size is not None and size != (plane.rows, plane.columns):
            raise ReadError("damaged", f"its pixels are {size[1]} x {size[0]}; expected {plane.columns} x {plane.rows}")


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
                return "" if count > frames else f"it holds {max(count - 1, 0)} packed pictures; expected {frames}"
            if tag != ITEM:
                return "its packed pixels are no chain of items"
            count, at = count + 1, at + 8 + length
    return "it stops within its packed pixels"


def codestream_size(head: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG, JPEG-LS or JPEG 2000 code stream; None for anything else."""
    if head[:4] == b"\xff\x4f\xff\x51":
        right, low, left, top = (int.from_bytes(head[8 + 4 * i : 12 + 4 * i], "big") for i in range(4))
        return low - top, right - left
    at = 2
    while head[:2] == b"\xff\xd8" and at + 9 <= len(head) and head[at] == 0xFF:
        if head[at + 1] in JPEG_STARTS:
            return int.from_bytes(head[at + 5 : at + 7], "big"), int.from_bytes(head[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None
