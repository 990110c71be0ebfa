"""One finding, and the words that findings share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NOTE, WARNING = "note", "warning"


@dataclass(frozen=True)
class Finding:
    """One difference.

    Attributes:
        kind: spacing, intensity, volume, size, orientation, channels or labels.
        level: "note": dealt with, or small; "warning": may cost accuracy.
        sentence: with numbers and units, and what follows.
        source, target: the numbers compared.
    """

    kind: str
    level: str
    sentence: str
    source: Any
    target: Any


def listed(words: Sequence[str]) -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def factor(ratio: float, more: str, less: str) -> str:
    """2.1 times longer."""
    return f"{max(ratio, 1 / ratio):.2g} times {more if ratio > 1 else less}"
