"""The bytes of a file that somebody else named: a pipe, a device or a link to one is refused before anything is read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from data_prep.nifti import MAX_BYTES, free_memory
from data_prep.pointers import pointer_sentence
from data_prep.volume import ReadError

_NOT_BLOCKING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # the one is POSIX, the other Windows


def read_bytes(path: Path) -> bytes:
    """All bytes of a regular file, at most `MAX_BYTES` or what memory is free; never waits for a pipe or a device.

    Raises:
        ReadError: missing, special, unreadable, empty or too large.
    """
    not_here = pointer_sentence(path)
    if not_here:
        raise ReadError("pointer", not_here)
    if not path.exists():
        raise ReadError("missing", "a link to a file that is not there" if path.is_symlink() else "there is no such file")
    if not path.is_file():
        raise ReadError("missing", "it is a folder or a special file; expected an image file")
    try:
        handle = os.open(path, os.O_RDONLY | _NOT_BLOCKING)
        with open(handle, "rb") as file:  # noqa: PTH123 (a descriptor has no Path)
            status = os.fstat(handle)  # of what was opened: the name may have changed hands since
            if not stat.S_ISREG(status.st_mode):
                raise ReadError("missing", "it is a folder or a special file; expected an image file")
            _check_size(status.st_size)
            raw = file.read(max(status.st_size, 1))
    except OSError as error:
        raise ReadError("unreadable", f"the system says: {error.strerror}") from error
    if not raw or not status.st_size:  # files of the kernel say size 0 and never end
        raise ReadError("empty", "it holds 0 bytes")
    not_here = pointer_sentence(path, raw)
    if not_here:
        raise ReadError("pointer", not_here)
    return raw


def _check_size(size: int) -> None:
    limit = min(MAX_BYTES, free_memory())
    if size > limit:
        raise ReadError("too_large", f"it holds {size / 2**30:.1f} GiB; the limit is {limit / 2**30:.1f} GiB")
