"""How bright each structure of a case is, against the bulk of its image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.normalising import LOWER, UPPER, bulk
from data_prep.volume import Array

IMAGE_SAMPLES = 200_000  # voxels: 1,000 of them beyond each percentile
CLASS_SAMPLES = 2_000


@dataclass(frozen=True)
class Tone:
    """One structure in one image.

    Attributes:
        levels: (percentile 5, median, percentile 95) of its grey values in the first channel.
        is_beyond: its median lies beyond the percentiles 0.5 and 99.5 of the image, in every channel.
        below, above: how far its percentiles 5 and 95 reach beyond, in units of their distance; the largest of all
            channels, at least 0.
    """

    levels: tuple[float, float, float]
    is_beyond: bool
    below: float
    above: float


@dataclass(frozen=True)
class Structure:
    """One structure over the `cases` images that hold it: medians of its levels, in how many it is beyond, largest reach."""

    levels: tuple[float, float, float]
    beyond: int
    cases: int
    below: float
    above: float

    @property
    def is_beyond(self) -> bool:
        """Whether a hard clip makes it one grey in most of its images."""
        return 2 * self.beyond > self.cases


def structures(images: Iterable[Mapping[int, Tone]]) -> dict[int, Structure]:
    """Value -> structure, over the tones of many images."""
    each: dict[int, list[Tone]] = {}
    for image in images:
        for value, tone in image.items():
            each.setdefault(value, []).append(tone)
    return {value: _structure(found) for value, found in sorted(each.items())}


def _structure(found: Sequence[Tone]) -> Structure:
    first, median, last = (float(level) for level in np.median([tone.levels for tone in found], axis=0))
    beyond = sum(tone.is_beyond for tone in found)
    below, above = max(tone.below for tone in found), max(tone.above for tone in found)
    return Structure((first, median, last), beyond, len(found), below, above)


def tones(planes: Sequence[Array], label: Array, seed: int) -> Mapping[int, Tone]:
    """One tone a structure.

    Args:
        planes: the channels, (X, Y[, Z]) each.
        label: (X, Y[, Z]), whole numbers, 0 the background.
        seed: of the draw.
    """
    inside = label > 0
    kinds = label[inside]
    drawn = [_drawn(plane.ravel(), IMAGE_SAMPLES, seed) for plane in planes]
    clips = [(np.percentile(values, [LOWER, UPPER]), bulk(values)) for values in drawn]
    values = [plane[inside] for plane in planes]
    found = {}
    for kind in np.unique(kinds):
        here = kinds == kind
        levels = [np.percentile(_drawn(v[here], CLASS_SAMPLES, seed).astype(np.float64), [5, 50, 95]) for v in values]
        found[int(kind)] = _tone(levels, clips)
    return found


def _tone(levels: Sequence[Array], clips: Sequence[tuple[Array, tuple[float, float]]]) -> Tone:
    beyond = [not clip[0] <= level[1] <= clip[1] for level, (clip, _) in zip(levels, clips, strict=True)]
    below, above = [0.0], [0.0]
    for level, (_, (low, high)) in zip(levels, clips, strict=True):
        if high > low:
            below.append((low - float(level[0])) / (high - low))
            above.append((float(level[2]) - high) / (high - low))
    first, median, last = (float(value) for value in levels[0])
    return Tone((first, median, last), all(beyond), max(below), max(above))


def _drawn(values: Array, number: int, seed: int) -> Array:
    if values.size <= number:
        return values
    return values[np.random.default_rng(seed).integers(0, values.size, number)]
