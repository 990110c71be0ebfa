"""Where the sliding windows lie, and which part of the volume no later window touches: what `rods.py` goes by."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import NamedTuple

from monai.data.utils import dense_patch_slices


class Span(NamedTuple):
    """A half-open range of voxels along one axis."""

    start: int
    stop: int


@dataclass(frozen=True)
class WindowPlan:
    """Windows in the order of the sweep, and the rods that they finish.

    The sweep goes along the outer axis, within it along the inner one, within it along the rest. A rod is a piece of the volume
    that is whole along the remaining axis: the outer and inner axes are cut wherever a window begins or ends. When the last
    window over a rod is done, the rod is final.

    Attributes:
        shape: voxels of the image, padded to at least one window; axes of the image.
        roi: voxels of a window.
        axes: the axes of the image in the order of the sweep, outer first.
        windows: start of each window, axes of the image, in the order of the sweep.
        rods: (outer span, inner span) and the index of the last window over it, in the order in which they are finished.
    """

    shape: tuple[int, ...]
    roi: tuple[int, ...]
    axes: tuple[int, ...]
    windows: list[tuple[int, ...]]
    rods: list[tuple[Span, Span, int]]

    def under(self, window: Sequence[int]) -> list[tuple[Span, Span]]:
        """The rods that a window covers."""
        outer, inner = (
            spans[bisect_left(spans, (low,)) : bisect_left(spans, (low + self.roi[axis],))]
            for spans, axis, low in zip(self._spans, self.axes, (window[axis] for axis in self.axes), strict=False)
        )
        return list(product(outer, inner))

    @cached_property
    def _spans(self) -> tuple[list[Span], list[Span]]:
        """The pieces of the outer and of the inner axis."""
        return sorted({a for a, _, _ in self.rods}), sorted({b for _, b, _ in self.rods})


def scan_interval(shape: Sequence[int], roi: Sequence[int], overlap: float) -> list[int]:
    """Step between windows, as MONAI's `sliding_window_inference` chooses it."""
    return [r if r == n else max(1, int(r * (1 - overlap))) for n, r in zip(shape, roi, strict=True)]


def num_windows(size: Sequence[int], roi: Sequence[int], overlap: float) -> int:
    """Windows over an image of `size`, which is padded to at least one; a `roi` of 0 is the image's own length."""
    roi = [r if r and r > 0 else n for n, r in zip(size, roi, strict=True)]
    shape = [max(n, r) for n, r in zip(size, roi, strict=True)]
    return math.prod(-(-(n - r) // step) + 1 for n, r, step in zip(shape, roi, scan_interval(shape, roi, overlap), strict=True))


def plan_windows(shape: Sequence[int], roi: Sequence[int], overlap: float) -> WindowPlan:
    """Plan the sweep of windows over an image of `shape` (2 or 3 axes, each at least as long as `roi`).

    The windows are MONAI's own; only their order is ours: the outer axis is the one along which the least must be carried
    from one row of windows to the next (overlap x area of the other axes), the inner one the longer of the others.
    """
    interval = scan_interval(shape, roi, overlap)
    places = dense_patch_slices(shape, roi, interval, return_slice=False)
    starts = [sorted({int(place[axis][0]) for place in places}) for axis in range(len(shape))]

    def carried(axis: int) -> float:
        rest = [n for other, n in enumerate(shape) if other != axis]
        area = rest[0] * (rest[1] if len(rest) == 2 else 1)
        return (roi[axis] - interval[axis]) * area if len(starts[axis]) > 1 else roi[axis] * area

    outer = min(range(len(shape)), key=lambda axis: (carried(axis), -shape[axis]))
    others = sorted((axis for axis in range(len(shape)) if axis != outer), key=lambda axis: -shape[axis])
    axes = (outer, *others)
    swept = list(product(*[starts[axis] for axis in axes]))
    windows = [tuple(dict(zip(axes, place, strict=True))[axis] for axis in range(len(shape))) for place in swept]
    per_start = len(swept) // (len(starts[axes[0]]) * len(starts[axes[1]]))
    rods = []
    for (a, row), (b, column) in product(*[_cuts(starts[axis], roi[axis]) for axis in axes[:2]]):
        rods.append((a, b, (row * len(starts[axes[1]]) + column + 1) * per_start - 1))
    rods.sort(key=lambda rod: rod[2])  # stable: within one window, from low to high
    return WindowPlan(tuple(shape), tuple(roi), axes, windows, rods)


def _cuts(starts: Sequence[int], length: int) -> list[tuple[Span, int]]:
    """The axis cut at every beginning and end of a window; for each piece the number of the last window over it."""
    edges = sorted({edge for start in starts for edge in (start, start + length)})
    spans = [Span(a, b) for a, b in pairwise(edges)]
    return [(span, max(i for i, start in enumerate(starts) if start <= span.start < start + length)) for span in spans]
