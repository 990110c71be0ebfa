"""What a machine affords, and how much of a case a patch of it sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Sizes = tuple[int, ...]
Spacing = tuple[float, ...]
STEP = 0.01  # of the factor on the spacing
SPAN = 0.5  # of each axis of the case that a patch should see, at least
THIN_SPAN = 0.25  # the same, where a coarser spacing would lose thin structures


@dataclass(frozen=True)
class Budget:
    """What a machine affords for one dimension. `patch_voxels` caps a patch; `whole_voxels` is the cap below which
    coarsening so that one patch holds a whole case is worth it; `coarsest` limits the factor on the spacing."""

    channels: tuple[int, ...]
    num_res_blocks: int
    batch_size: int
    patch_voxels: int
    whole_voxels: int
    coarsest: float
    num_head_channels: int

    @property
    def multiple(self) -> int:
        """Patch edges must be multiples of this: each level but the first halves the grid."""
        return int(2 ** (len(self.channels) - 1))


def by(numbers: Sequence[float]) -> str:
    """Numbers with a cross between them: 2 x 2 x 1.5."""
    return " x ".join(f"{number:g}" for number in numbers)


def coarsened(spacing: Spacing, factor: float) -> Spacing:
    """Bring every axis to at least `factor` times the finest edge: fine axes first, thick slices stay as they are."""
    finest = min(spacing) * factor
    return tuple(round(max(edge, finest), 4) for edge in spacing)


def covering(extent: Spacing, spacing: Spacing, multiple: int) -> Sizes:
    """The smallest allowed patch that holds `extent` (mm) at `spacing` (mm): rounded up to the multiple per axis."""
    sizes = (edge / step for edge, step in zip(extent, spacing, strict=True))
    return tuple(multiple * max(1, math.ceil(round(size, 3) / multiple)) for size in sizes)


def shrunk(patch: Sizes, spacing: Spacing, voxels: int, multiple: int) -> Sizes:
    """Take steps off the axis of the largest extent in mm until at most `voxels` remain: nearly a cube in mm."""
    sizes = list(patch)
    while math.prod(sizes) > voxels and max(sizes) > multiple:
        able = [axis for axis in range(len(sizes)) if sizes[axis] > multiple]
        widest = max(able, key=lambda axis: sizes[axis] * spacing[axis])
        sizes[widest] -= multiple
    return tuple(sizes)


def factors(coarsest: float) -> list[float]:
    """On the spacing, from 1 on."""
    return [1 + STEP * step for step in range(round((coarsest - 1) / STEP) + 1)]


@dataclass(frozen=True)
class Room:
    """The median case, its extent and edges in mm per axis, and what the budget allows for it."""

    extent: Spacing
    median: Spacing
    limits: Budget

    def spans(self, spacing: Spacing, share: float) -> bool:
        """Whether a patch within the budget sees at least `share` of the case along each axis."""
        whole = covering(self.extent, spacing, self.limits.multiple)
        patch = shrunk(whole, spacing, self.limits.patch_voxels, self.limits.multiple)
        return all(size * step >= share * edge for size, step, edge in zip(patch, spacing, self.extent, strict=True))
