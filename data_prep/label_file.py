"""Names of label values beside masks: ITK-SNAP's label description, which ITK-SNAP opens and other programs import."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from pathlib import Path

from data_prep.json_io import write_atomically

NAME = "labels.txt"
HEADER = "# ITK-SNAP label description, written by monai_hybrid\n# value red green blue opacity visible mesh name\n"
_LINE = re.compile(r'\s*(\d{1,9})\s+\d+\s+\d+\s+\d+\s+\S+\s+[01]\s+[01]\s+"([^"\n]*)"\s*')
LARGEST = 2**20  # bytes of such a file


def plain_name(name: str) -> str:
    """A name as it stands in the file: one line, without its quotation marks."""
    return " ".join(str(name).replace('"', "'").split())


def write_label_file(folder: Path, labels: Sequence[tuple[int, str, str]]) -> Path | None:
    """Write `labels.txt` into the folder of the masks, unless it is there already.

    Args:
        folder: of the masks.
        labels: (value, name, colour "#rrggbb") each, background first.

    Returns:
        The file; None where somebody else's has its name, which is left alone.

    Raises:
        EnvironmentFault: no space, no right.
    """
    path = folder / NAME
    lines = []
    for number, (value, name, colour) in enumerate(labels):
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        seen = "0  0 0" if number == 0 else "1  1 1"
        lines.append(f'{value:5d} {red:3d} {green:3d} {blue:3d}  {seen}  "{plain_name(name)}"\n')
    content = (HEADER + "".join(lines)).encode("utf-8")
    there = path.read_bytes()[:LARGEST] if path.is_file() else b""
    if there and not there.startswith(HEADER.encode()):
        return None
    if there != content:
        write_atomically(path, content)
    return path


def read_label_file(path: Path) -> list[tuple[int, str]] | None:
    """Value and name of each label, in the order of the file; None where it is no such file."""
    if not path.is_file() or path.stat().st_size > LARGEST:
        return None
    lines = [line for line in _text(path.read_bytes()).splitlines() if line.strip() and not line.startswith("#")]
    found = [match for line in lines if (match := _LINE.fullmatch(line))]
    return [(int(match[1]), match[2]) for match in found] if found and len(found) == len(lines) else None


def _text(content: bytes) -> str:
    """UTF-8, or what editors of Windows write: with a byte order mark, UTF-16, or letters of Western Europe."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
