"""Amounts as a person reads them: four digits, no powers of ten, a comma between thousands; few of many; pixels or voxels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal


def amount(value: float) -> str:
    """ "0.9", "1941", "17,600", "0.00003". What is no finite number stays as it is."""
    if not math.isfinite(value):
        return str(value)
    return format(Decimal(f"{value:.4g}"), ",f" if abs(value) >= 1e4 else "f")


def by(numbers: Iterable[float]) -> str:
    """Numbers with a cross between them, four digits each: "1 x 1 x 2.5"."""
    return " x ".join(f"{number:.4g}" for number in numbers)


def plural(count: int, noun: str) -> str:
    """ "1 case", "2 cases"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def cells(dims: int) -> str:
    """What a grid of so many axes is made of: "pixels" or "voxels"."""
    return "pixels" if dims == 2 else "voxels"


def few(names: Sequence[object], most: int = 3, between: str = ", ") -> str:
    """The first of many, and how many more there are: "a, b and 3 more", or with other signs between "a; b; and 3 more"."""
    left = len(names) - most
    return between.join(map(str, names[:most])) + (f"{between.strip(', ')} and {left} more" if left > 0 else "")
