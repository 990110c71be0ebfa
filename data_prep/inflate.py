"""Packed bytes unpacked with a bound, and never without their checksum: zlib (Adler-32), gzip and bzip2 (CRC-32)."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterator

from data_prep.volume import ReadError

CHUNK = 2**20
_WINDOW = {"zlib": 15, "gzip": 31}


def check_packed(raw: bytes, packing: str, size: int) -> int:
    """Unpack piece by piece, keep nothing, and compare the length; the checksum is the library's own check at the end.

    Args:
        raw: the packed bytes; zeros after their end are padding.
        packing: "zlib", "gzip" (of one or several members) or "bzip2".
        size: bytes that the header asks for.

    Returns:
        CRC-32 of the unpacked bytes.

    Raises:
        ReadError: "damaged" or "truncated".
    """
    found, crc = 0, 0
    try:
        for piece in _bunzip(raw) if packing == "bzip2" else _inflate(raw, _WINDOW[packing]):
            found, crc = found + len(piece), zlib.crc32(piece, crc)
            if found > size:
                raise ReadError("damaged", f"it unpacks to more than the {size} bytes its header asks for")
    except (zlib.error, OSError, EOFError) as error:
        raise ReadError("damaged", f"{packing} reports: {error}") from error
    if found < size:
        raise ReadError("truncated", f"it unpacks to {found} bytes; its header asks for {size}")
    return crc


def _inflate(raw: bytes, window: int) -> Iterator[bytes]:
    while raw:
        stream = zlib.decompressobj(wbits=window)
        yield stream.decompress(raw, CHUNK)
        while stream.unconsumed_tail:
            yield stream.decompress(stream.unconsumed_tail, CHUNK)
        yield from _rest(stream)
        raw = _following(stream.unused_data, b"\x1f\x8b" if window == _WINDOW["gzip"] else b"")


def _rest(stream: zlib._Decompress) -> Iterator[bytes]:
    """What the stream still holds when all input is used up; the checksum comes last."""
    while not stream.eof:
        piece = stream.decompress(b"", CHUNK)
        if not piece and not stream.eof:
            raise ReadError("truncated", "its packed data stop before their end")
        yield piece


def _bunzip(raw: bytes) -> Iterator[bytes]:
    stream = bz2.BZ2Decompressor()
    yield stream.decompress(raw, CHUNK)
    while not stream.eof:
        if stream.needs_input:
            raise ReadError("truncated", "its packed data stop before their end")
        yield stream.decompress(b"", CHUNK)
    _following(stream.unused_data, b"")


def _following(rest: bytes, member: bytes) -> bytes:
    """Another member, where the format has such; nothing where only zeros follow."""
    rest = rest.lstrip(b"\0")
    if rest and not (member and rest.startswith(member)):
        raise ReadError("damaged", f"{len(rest)} bytes follow the end of the packed data")
    return rest
