"""A model file that is empty or ends too early, as one whose copy was stopped: known by its length, without torch."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from data_prep.amounts import plural

COPY_AGAIN = "copy it again from its source"
LENGTH = 8  # bytes of a safetensors file that say how long its header is
LONGEST_HEADER = 20 << 20  # bytes of a header that is looked into; a card has at most 16 MB
ZIP = b"PK\x03\x04"  # how a .pt file begins that torch has written


def cut_off(path: Path) -> str:
    """What is missing of a file, by its length; "" where nothing is, where that is not known, and where there is no file.

    Of safetensors the header says where the last tensor ends; a .pt file is an archive, whose list of members is its end.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            return "it is empty, 0 bytes"
        if path.suffix == ".safetensors":
            wanted = _bytes_wanted(path, size)
            return f"it was cut off: it has {plural(size, 'byte')}, and by its header {wanted}" if size < wanted else ""
        with path.open("rb") as handle:
            begins = handle.read(len(ZIP))
    except OSError:
        return ""
    if begins == ZIP and not zipfile.is_zipfile(path):
        return f"it was cut off: it has {plural(size, 'byte')}, and the list of members at its end is missing"
    return ""


def _bytes_wanted(path: Path, size: int) -> int:
    """How long a safetensors file is by its own words; 0 where it says nothing that can be believed."""
    with path.open("rb") as handle:
        header = int.from_bytes(handle.read(LENGTH), "little")
        if size < LENGTH:
            return LENGTH
        if handle.read(1) != b"{":
            return 0 if size > LENGTH else LENGTH + 1
        if header > LONGEST_HEADER:
            return 0
        if size < LENGTH + header:
            return LENGTH + header
        handle.seek(LENGTH)
        text = handle.read(header)
    try:
        tensors = json.loads(text)
    except (ValueError, RecursionError):
        return 0
    return LENGTH + header + max(map(_end, tensors.values()), default=0) if isinstance(tensors, dict) else 0


def _end(tensor: Any) -> int:
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    end = offsets[-1] if isinstance(offsets, list) and offsets else 0
    return end if type(end) is int else 0


def said_of_cut_off(path: Path) -> str:
    """What to say of a model file that is empty or cut off, or of the one beside it, which holds its card; "" of whole ones."""
    for file in dict.fromkeys((path, path.with_suffix(".safetensors"))):
        if file.is_file() and (missing := cut_off(file)):
            which = "" if file == path else f"{file} beside it, which holds its card, is "
            return f"{which}not a readable model file ({missing}); {COPY_AGAIN}"
    return ""
