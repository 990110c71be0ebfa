"""Checksums of a PNG picture: Pillow's `load` looks at few of them."""

from __future__ import annotations

from data_prep.opened_picture import opened
from data_prep.volume import ReadError

END = b"IEND\xaeB`\x82"  # the last chunk is empty, so its checksum is always this


def check_chunks(raw: bytes) -> None:
    """Hold every chunk to its checksum (CRC-32), remarks and profiles too.

    Raises:
        ReadError: "damaged".
        Whatever Pillow raises for what is no picture.
    """
    with opened(raw, ["PNG"]) as picture:
        picture.verify()
    if END not in raw:
        raise ReadError("damaged", "the checksum of its last chunk is wrong")
