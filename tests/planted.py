"""Identifiers that tests plant in data, and a search for them in every file that a command has written."""

from __future__ import annotations

import base64
import gzip
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image

WORDS = (
    "plantedname",
    "zelda",
    "pid-73918-xq",
    "pid73918xq",
    "acc-55120-zw",
    "19610418",
    "1961-04-18",
    "other-id-4412",
    "study-id-8821",
    "plantedhospital",
    "plantedphysician",
    "plantedfolder",
    "plantedfile",
    "plantedprivate",
    "plantedcomment",
    # other spellings of a name and a date, as people type them into free text
    "李四",
    "zoë-ann",
    "o'plant",
    "18apr61",
    "18.04.61",
    "61/4/18",
)


def contents(data: bytes) -> Iterator[bytes]:
    """The bytes, what is packed in them, texts of pictures, and files that a page holds as data."""
    yield data
    if data[:2] == b"\x1f\x8b":
        with suppress(OSError, EOFError, zlib.error):  # weights that begin so by chance, one array in 65,536
            yield from contents(gzip.decompress(data))
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(BytesIO(data)) as file:
            for name in file.namelist():
                yield name.encode()
                yield from contents(file.read(name))
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        with Image.open(BytesIO(data)) as picture:
            picture.load()
            yield repr(picture.info).encode()
    elif b"<html" in data[:2000].lower():
        for packed in re.findall(rb"base64,([A-Za-z0-9+/=]+)", data):
            yield from contents(base64.b64decode(packed))


@cache
def _forms(word: str) -> set[bytes]:
    """A word in UTF-8, and as JSON in ASCII writes it."""
    return {word.encode(), json.dumps(word)[1:-1].encode()}


def words_in(data: bytes) -> list[str]:
    """The planted words that bytes hold, packed or not, in any capitals."""
    lowered = (one.lower() for one in contents(data))
    return sorted({word for one in lowered for word in WORDS if any(form in one for form in _forms(word))})


def found_below(folder: Path) -> dict[str, list[str]]:
    """By file below a folder, the planted words in its content or name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        words = words_in(str(path.relative_to(folder)).encode())
        words += words_in(path.read_bytes()) if path.is_file() else []
        if words:
            found[str(path.relative_to(folder))] = words
    return found
