"""Code that would leave a marker if a file were run or unpickled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class Touch:
    """Unpickling it makes the marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.marker,)


def code(m: Path) -> str:
    return f"__import__('pathlib').Path({str(m)!r}).touch()"
