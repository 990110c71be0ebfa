"""A series that is no one stack, in parts that are: by size and orientation, or by echo, phase, b-value and the like.

The rule: of `Plane.tells`, in their order, the first value, else the first pair of values, by which the planes at each place
come apart into as many parts as lie there. Else, where equally many lie at every place, the first value that differs at each of
them: a part is then the planes of one rank ("TriggerTime=no.3"), as times differ a little from slice to slice. None is chosen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

from data_prep.dicom.grid import SAME_PLACE, alike, height
from data_prep.dicom.plane import Plane
from data_prep.dicom.shown import Pairs

MOST_PARTS = 4096
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


def shares_places(planes: Sequence[Plane]) -> bool:
    """Whether two planes of one orientation lie at one place along the normal."""
    heights = sorted(place for place in map(height, planes) if place is not None)
    return any(b - a < SAME_PLACE for a, b in pairwise(heights))


def by_tells(planes: Sequence[Plane]) -> dict[Pairs, list[Plane]]:
    """Planes at shared places as parts without such places, by pairs like (EchoTime, 2.5); empty when no value parts them."""
    places = _places(planes)
    counts = Counter(places)
    most = max(counts.values())
    values = [dict(plane.tells) for plane in planes]
    names = [name for name in dict.fromkeys(key for one in values for key in one) if len({one.get(name) for one in values}) > 1]
    if most > MOST_PARTS:
        return {}
    for count in (1, 2):
        for chosen in combinations(names, count):
            keys = [tuple(one.get(name, "") for name in chosen) for one in values]
            if len(set(keys)) == most and len(set(zip(places, keys, strict=True))) == len(planes):
                return _grouped(planes, [tuple(zip(chosen, key, strict=True)) for key in keys])
    even = len(set(counts.values())) == 1
    return next(_ranked(planes, places, values, names), {}) if even else {}


def _places(planes: Sequence[Plane]) -> list[int]:
    """The number of each plane's place along the normal, from 0."""
    heights = [height(plane) or 0.0 for plane in planes]
    order = sorted(range(len(planes)), key=heights.__getitem__)
    numbers = [0] * len(planes)
    for before, after in pairwise(order):
        numbers[after] = numbers[before] + (heights[after] - heights[before] >= SAME_PLACE)
    return numbers


def _ranked(
    planes: Sequence[Plane], places: Sequence[int], values: Sequence[dict[str, str]], names: Sequence[str]
) -> Iterator[dict[Pairs, list[Plane]]]:
    """Parts by the rank of a value among the planes at its place, for each value that differs at every place."""
    for name in names:
        at: dict[int, list[tuple[float, int]]] = defaultdict(list)
        for index, (place, one) in enumerate(zip(places, values, strict=True)):
            at[place].append((_number(one.get(name)), index))
        if all(len({value for value, _ in here}) == len(here) and here[0][0] == here[0][0] for here in at.values()):
            ranks = {index: rank for here in at.values() for rank, (_, index) in enumerate(sorted(here), start=1)}
            yield _grouped(planes, [((name, f"no.{ranks[index]}"),) for index in range(len(planes))])


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _grouped(planes: Sequence[Plane], keys: Sequence[Pairs]) -> dict[Pairs, list[Plane]]:
    groups: dict[Pairs, list[Plane]] = defaultdict(list)
    for plane, key in zip(planes, keys, strict=True):
        groups[key].append(plane)
    return dict(groups)
