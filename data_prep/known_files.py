"""Which files a folder of results may show: those in it, and those that its tables have a digest of.

A folder from elsewhere may name any file of this machine. Only who has read a file knows its digest: of its size and its two
ends, which takes seconds even for a large data set.
"""

from __future__ import annotations

import filecmp
import hashlib
from collections.abc import Sequence
from pathlib import Path

EDGE = 1 << 16


def edges(path: Path) -> bytes:
    """Size, first and last 64 KiB.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(EDGE)
        handle.seek(max(0, size - EDGE))
        return f"{size}".encode() + head + handle.read(EDGE)


def lies_below(folder: Path, file: Path) -> bool:
    """Whether a file lies in a folder or deeper, links followed."""
    try:
        return file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


def file_digest(path: Path) -> str:
    """SHA-256 of `edges`, its first 32 hexadecimal digits; "" of what cannot be read."""
    try:
        return hashlib.sha256(edges(path)).hexdigest()[:32] if path.is_file() else ""
    except (OSError, ValueError):
        return ""


def joint_digest(paths: Sequence[Path]) -> str:
    """`file_digest` of one file; of several, as the channels of a case, one digest of theirs. "" where one cannot be read."""
    digests = [file_digest(path) for path in paths]
    if not all(digests):
        return ""
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()[:32]


def equal_files(one: Path, other: Path) -> bool:
    """Whether they are equal, byte for byte; not where one cannot be read, of which reading it says more."""
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False
