"""A machine without memory for the program itself: known in every form that Python gives it, and told in a sentence."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from data_prep.errors import EnvironmentFault

# How Python tells a lack of memory besides MemoryError: compile() loses the error, and a library cannot be mapped.
SIGNS = (
    "error return without exception set",
    "failed to map segment",
    "cannot allocate memory",
    "can't allocate memory",
    "can't start new thread",
    "bad_alloc",
    "bad allocation",
    "not enough memory",
    "could not create a memory object",  # of oneDNN
)
# All that oneDNN says; with more words it is about what it cannot do.
WHOLE = ("could not create a primitive", "could not execute a primitive")
BLAS_BYTES = 33 << 20  # of OpenBLAS's buffer on x86, and a little


def lacks_memory(error: BaseException | None) -> bool:
    """Whether an error means that memory has ended; an import's failure is looked at along its causes."""
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, MemoryError) or says_memory(str(error)):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def take_blas_memory() -> None:
    """Let numpy's OpenBLAS have its buffer now: where memory ends later, it would end the process itself, with exit code 1.

    Raises:
        MemoryError: there is no memory for it.
    """
    import numpy as np

    if is_short(BLAS_BYTES):
        raise MemoryError(f"no {BLAS_BYTES >> 20} MiB free")
    np.linalg.inv(np.eye(2))


def says_memory(text: str) -> bool:
    """Whether a library's words mean that memory has ended."""
    said = text.strip().lower()
    return said in WHOLE or any(sign in said for sign in SIGNS)


def refuse_for_memory(error: BaseException, path: object) -> None:
    """Where every failure to read a file means that the file is damaged: a lack of memory does not.

    Raises:
        EnvironmentFault: memory has ended.
    """
    if lacks_memory(error):
        raise EnvironmentFault(f"{path}: not enough memory to read it. Type: free -h") from error


def is_short(needed: int = 16 << 20) -> bool:
    """Whether so many bytes cannot be had. Without memory Python's own compiler may report an error of syntax."""
    try:
        mmap.mmap(-1, needed).close()
    except (OSError, MemoryError):
        return True
    return False


@contextmanager
def memory_told() -> Iterator[None]:
    """Around a program's imports and its work: without memory it ends in one sentence.

    What a training was doing, and how it takes less memory, its own exception hook knows better.

    Raises:
        SystemExit: 5.
    """
    try:
        yield
    except Exception as error:
        if _hook_tells() or not (lacks_memory(error) or is_short()):
            raise
        sys.stderr.write("error: not enough memory. Type: free -h\n")
        raise SystemExit(EnvironmentFault.exit_code) from None


def _hook_tells() -> bool:
    return str(getattr(sys.excepthook, "__module__", "")).startswith("monai_hybrid.")
