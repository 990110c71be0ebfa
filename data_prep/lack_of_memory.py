"""A machine without memory for the program itself: known in every form that Python gives it, and told in a sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# How Python tells a lack of memory besides MemoryError: compile() loses the error, and a library cannot be mapped.
SIGNS = (
    "error return without exception set",
    "failed to map segment",
    "cannot allocate memory",
    "can't allocate memory",
    "can't start new thread",
    "bad_alloc",
)
EXIT_CODE = 5


def lacks_memory(error: BaseException | None) -> bool:
    """Whether an error means that memory has ended; an import's failure is looked at along its causes."""
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in SIGNS):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
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
        if _hook_tells() or not lacks_memory(error):
            raise
        sys.stderr.write("error: not enough memory. Type: free -h\n")
        raise SystemExit(EXIT_CODE) from None


def _hook_tells() -> bool:
    return str(getattr(sys.excepthook, "__module__", "")).startswith("monai_hybrid.")
