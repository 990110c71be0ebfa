"""Sizes that compressed pixels state themselves, held to the header before a decoder allocates what they ask for."""

from __future__ import annotations

from typing import Any

from data_prep.dicom.plane import Plane
from data_prep.volume import ReadError

J2K_SIZE = b"\xff\x51"
JPEG_STARTS = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
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
