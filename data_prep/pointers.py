"""Files of which only a link or a pointer is here: git-annex (datalad) and Git LFS keep the content elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

ANNEX, LFS = b"/annex/objects/", b"version https://git-lfs.github.com/spec/"
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
    if head.startswith(LFS) and path.name.lower().endswith(".gz"):  # of others the reader of their format tells
        return "its content is not here: a pointer of Git LFS in its place; git lfs pull fetches it"
    return None
