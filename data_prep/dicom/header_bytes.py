"""The first bytes of a DICOM file as a data set without pixels: what a file says of its own lengths is never believed."""

from __future__ import annotations

import io
import stat
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from data_prep.dicom.frames import FRAME_TAGS
from data_prep.dicom.plane import DEFLATED
from data_prep.dicom.tags import TAGS
from data_prep.volume import ReadError

HEAD = 2**17  # bytes of a file that most headers lie in
MOST = 2**25  # bytes of the longest header: 10,000 frames of an enhanced file
MOST_INFLATED = 2**28
ITEMS = 400_000  # items of sequences in a header; each takes a kilobyte once it is read
ITEM = b"\xfe\xff\x00\xe0"
AT = 128  # bytes before the prefix (PS3.10, section 7.1)
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # float, double and integer pixel data


def kind_of(head: bytes) -> str:
    """The SOP class as the file's own beginning says, so that nothing more is read of what is no image; "" if it does not."""
    if head[AT : AT + 4] != b"DICM":
        return ""
    at = head.find(b"\x02\x00\x02\x00UI", AT, 1024)
    size = int.from_bytes(head[at + 6 : at + 8], "little")
    return head[at + 8 : at + 8 + size].decode("ascii", "replace").strip(" \0") if at > 0 and size <= 64 else ""


def head_of(path: Path) -> bytes:
    """The first bytes of a regular file; b"" for anything else.

    Raises:
        ReadError: "unreadable", the system refuses it.
    """
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


def dataset_of(path: Path, head: bytes) -> tuple[Any, tuple[int, int] | None]:
    """The data set before the pixels, and where these begin and how many bytes they say; None: there are none.

    Raises:
        ReadError: it is no DICOM, damaged, or asks for more than memory may hold.
    """
    size = path.stat().st_size
    if DEFLATED.encode() in head[AT : AT + 1024]:
        return _parse(_inflated(path))
    if size <= len(head):
        return _parse(head)
    with suppress(ReadError):  # the first bytes may end within an element
        dataset, end = _parse(head)
        if end is not None:
            return dataset, end
    with path.open("rb") as handle:
        return _parse(handle.read(MOST))


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


def _parse(raw: bytes) -> tuple[Any, tuple[int, int] | None]:
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
