"""A series that is no one stack, in parts that are: by size and orientation, or by echo, phase, b-value and the like.

The rule: of `Plane.tells`, in their order, the first value (else the first pair of values) that puts every plane into a group
without two at one place is what the parts differ in. No part is chosen here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from itertools import combinations, pairwise

from data_prep.dicom.grid import SAME_PLACE, alike, height
from data_prep.dicom.plane import Plane

MOST_PARTS = 256
LOOKED_AT = 64  # grids that a plane is compared with: no series has more, and a hostile one has thousands


def of_one_grid(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Planes grouped by size, pixel spacing and orientation, in the order of their first one."""
    groups: list[list[Plane]] = []
    for plane in planes:
        home = next((group for group in groups[-LOOKED_AT:] if _same_grid(group[0], plane)), None)
        if home is None:
            groups.append([plane])
        else:
            home.append(plane)
    return groups


def _same_grid(one: Plane, other: Plane) -> bool:
    if (one.rows, one.columns, one.samples) != (other.rows, other.columns, other.samples):
        return False
    return alike(one.spacing, other.spacing) and alike(one.orientation, other.orientation)


def by_tells(planes: Sequence[Plane]) -> dict[str, list[Plane]]:
    """Planes at shared places as parts without such places, by words like "EchoTime=2.5"; empty when no value parts them."""
    values = [dict(plane.tells) for plane in planes]
    names = [name for name in dict.fromkeys(key for one in values for key in one) if len({one.get(name) for one in values}) > 1]
    for count in (1, 2):
        for chosen in combinations(names, count):
            parts = _grouped(planes, lambda i, keys=chosen: tuple(values[i].get(key, "") for key in keys))  # type: ignore[misc]
            if len(parts) <= MOST_PARTS and not any(shares_places(part) for part in parts.values()):
                return {_words(chosen, key): part for key, part in parts.items()}
    return {}


def _grouped(planes: Sequence[Plane], key: Callable[[int], tuple[str, ...]]) -> dict[tuple[str, ...], list[Plane]]:
    groups: dict[tuple[str, ...], list[Plane]] = defaultdict(list)
    for index, plane in enumerate(planes):
        groups[key(index)].append(plane)
    return groups


def _words(names: Sequence[str], values: Sequence[Hashable]) -> str:
    return ",".join(f"{name}={value}" for name, value in zip(names, values, strict=True))


def shares_places(planes: Sequence[Plane]) -> bool:
    """Whether two planes of one orientation lie at one place along the normal."""
    heights = sorted(place for place in map(height, planes) if place is not None)
    return any(b - a < SAME_PLACE for a, b in pairwise(heights))
