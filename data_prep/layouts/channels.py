"""Which channels a data set has: those that most of its cases have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

Images = Mapping[str, Path]  # channel -> image, of one case


class Usual(NamedTuple):
    """The names of the channels, and the number of cases that have these and no other."""

    names: frozenset[str]
    cases: int


def usual_channels(cases: Collection[Images]) -> Usual:
    """The channels that most cases have; the fewest where two sets are as frequent. There is at least one case."""
    sets = Counter(frozenset(own) for own in cases)
    names = max(sets, key=lambda names: (sets[names], -len(names)))
    return Usual(names, sets[names])
