"""A full disk says how much was needed and how much is free, wherever a file is written."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_prep.quoting import quoted

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def needing(size: int, path: Path) -> Iterator[None]:
    """Around the writing of `size` bytes to `path`.

    Raises:
        OSError: as it was; where the disk or the quota is full, its text says what is needed and what is free.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = next((shutil.disk_usage(folder).free for folder in path.absolute().parents if folder.is_dir()), 0)
        told = f"{error.strerror}: {megabytes(size)} needed, {megabytes(free)} free"
        raise OSError(error.errno, told, str(path)) from error


def look_at(error: OSError, folder: Path) -> str:
    """What to type where `folder` could not be written into: room, the limit of a file's size, or whose the folder is."""
    if error.errno in FULL:
        return f"df -h {quoted(folder)}"
    if error.errno == errno.EFBIG:
        return "ulimit -f"
    there = next((place for place in (folder, *folder.absolute().parents) if place.is_dir()), folder)
    return f"ls -ld {quoted(there)}; or write elsewhere"


def megabytes(size: int) -> str:
    """In MB, with as many digits as it takes to see a small file."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e6:.3f} MB"
