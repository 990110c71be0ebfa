"""Files of which only a link or a pointer is here: git-annex, and with it datalad, keeps the content elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

ANNEX = b"/annex/objects/"
LARGEST = 32_768  # bytes; git-annex's own border for a pointer file


def pointer_sentence(path: Path, head: bytes = b"") -> str | None:
    """What to say of a link to a missing object of git-annex, or of a pointer in a file's place; None for any other file.

    Args:
        path: the file.
        head: its bytes where they are known.
    """
    if path.is_symlink() and not path.exists():
        try:
            target = os.fsencode(os.readlink(path))  # noqa: PTH115 (readlink of a Path makes it one)
        except OSError:
            return None
        return "its content is not here: a link of git-annex to an object that was not fetched" if ANNEX in target else None
    if head.startswith(ANNEX) and len(head) <= LARGEST:
        return "its content is not here: a pointer of git-annex in its place"
    return None
