"""plan.json: spacing, patch, normalisation, batch and network, each with its reason.

The rules follow nnU-Net (Isensee et al., Nature Methods 2021) in spirit: read them off the data, state them, let the
user override. All sizes are per axis, in RAS order for 3D.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_prep.errors import ConfigError

FORMAT_VERSION = 1
Sizes = tuple[int, ...]
Spacing = tuple[float, ...]


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


BUDGETS = {
    ("cpu", 3): Budget((16, 32, 64), 1, 8, 40**3, 32 * 40 * 32, 2.0, 32),
    ("cpu", 2): Budget((16, 32, 64, 64), 1, 16, 96**2, 96**2, 4.0, 32),
    ("gpu", 3): Budget((32, 64, 128, 256), 1, 8, 96**3, 96**3, 1.0, 64),
    ("gpu", 2): Budget((32, 64, 128, 256), 2, 32, 256**2, 256**2, 1.0, 64),
}
GPU_FULL_BATCH_VOXELS = 64**3  # a batch of 8 larger 3D patches exceeds 24 GB
GPU_SMALL_BATCH = 2
STEP = 0.01  # of the factor on the spacing
SPAN = 0.5  # of each axis of the case that a patch should see, at least


def make_plan(dataset: Mapping[str, Any], budget: str = "cpu", spacing: Sequence[float] | None = None) -> dict[str, Any]:
    """The content of plan.json.

    Args:
        dataset: the content of dataset.json.
        budget: "cpu" or "gpu".
        spacing: the user's own target in mm per RAS axis (pixels per network pixel in 2D without known spacing).

    Raises:
        ConfigError: unknown budget, or a spacing with another number of axes or numbers that are not above 0.
    """
    dims = int(dataset["spatial_dims"])
    if (budget, dims) not in BUDGETS:
        raise ConfigError(f"--budget {budget}: unknown; expected cpu or gpu")
    limits = BUDGETS[budget, dims]
    median = tuple(dataset["fingerprint"]["spacing"]["median"])
    shape = tuple(dataset["fingerprint"]["shape"]["median"])
    extent = tuple(size * edge for size, edge in zip(shape, median, strict=True))
    target, spacing_reason = _spacing(extent, median, limits, spacing, budget)
    patch, patch_reason = _patch(extent, target, limits)
    batch, batch_reason = _batch(patch, limits, budget, dims)
    normalization, normalization_reason = _normalization(dataset)
    unit = "mm" if dataset["fingerprint"]["spacing_known"] else "pixels (the files state no mm)"
    return {
        "format_version": FORMAT_VERSION,
        "spatial_dims": dims,
        "budget": budget,
        "orientation": "RAS" if dims == 3 else None,
        "spacing": list(target),
        "patch_size": list(patch),
        "normalization": normalization,
        "batch_size": batch,
        "network": _network(limits),
        "reasons": [
            f"The median training case is {_by(shape)} voxels of {_by(median)} {unit}, axes in "
            f"{'RAS order' if dims == 3 else 'the order of the file'}.",
            spacing_reason,
            patch_reason,
            normalization_reason,
            batch_reason,
            f"Network: {len(limits.channels)} levels with {_by(limits.channels)} channels: budget '{budget}'.",
        ],
    }


def _by(numbers: Sequence[float]) -> str:
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


def _factors(coarsest: float) -> list[float]:
    return [1 + STEP * step for step in range(round((coarsest - 1) / STEP) + 1)]


def _spacing(
    extent: Spacing, median: Spacing, limits: Budget, wanted: Sequence[float] | None, budget: str
) -> tuple[Spacing, str]:
    """Target spacing and its reason: the user's, else the finest that keeps a whole (or half a) case in one patch."""
    if wanted is not None:
        return checked_spacing(wanted, len(median)), f"Spacing {_by(tuple(wanted))} was asked for with --spacing."
    candidates = [coarsened(median, factor) for factor in _factors(limits.coarsest)]
    for candidate in candidates:
        if math.prod(covering(extent, candidate, limits.multiple)) <= limits.whole_voxels:
            return candidate, _why_whole(candidate, median, budget)
    for candidate in candidates:
        patch = shrunk(covering(extent, candidate, limits.multiple), candidate, limits.patch_voxels, limits.multiple)
        if _spans(patch, candidate, extent):
            return candidate, _why_part(candidate, median, budget)
    last = candidates[-1]
    reason = f"a patch sees less than half of a case, and the limit of coarsening for the budget '{budget}' is reached"
    return last, f"Spacing {_by(last)}: {reason}."


def _spans(patch: Sizes, spacing: Spacing, extent: Spacing) -> bool:
    return all(size * step >= SPAN * edge for size, step, edge in zip(patch, spacing, extent, strict=True))


def _why_whole(chosen: Spacing, median: Spacing, budget: str) -> str:
    if chosen == coarsened(median, 1):
        return f"Spacing {_by(chosen)}: the median of the training cases; one patch holds a whole case."
    return (
        f"Spacing {_by(chosen)}: coarser than the median {_by(median)}, equally on all fine axes, so that one patch "
        f"holds a whole case within the budget '{budget}'."
    )


def _why_part(chosen: Spacing, median: Spacing, budget: str) -> str:
    if chosen == coarsened(median, 1):
        return f"Spacing {_by(chosen)}: the median of the training cases."
    return (
        f"Spacing {_by(chosen)}: coarser than the median {_by(median)}, so that a patch within the budget '{budget}' "
        "spans at least half of a case along each axis."
    )


def checked_spacing(spacing: Sequence[float], dims: int) -> Spacing:
    """The user's spacing as numbers.

    Raises:
        ConfigError: wrong number of axes, or a number that is not finite and above 0.
    """
    if len(spacing) != dims or not all(math.isfinite(edge) and edge > 0 for edge in spacing):
        raise ConfigError(
            f"--spacing {','.join(f'{edge:g}' for edge in spacing)}: expected {dims} numbers above 0. "
            f'Type: --spacing "{",".join(["2"] * dims)}"'
        )
    return tuple(float(edge) for edge in spacing)


def _patch(extent: Spacing, spacing: Spacing, limits: Budget) -> tuple[Sizes, str]:
    whole = covering(extent, spacing, limits.multiple)
    fits = math.prod(whole) <= limits.whole_voxels
    patch = whole if fits else shrunk(whole, spacing, limits.patch_voxels, limits.multiple)
    size = f"Patch {_by(patch)}, edges divisible by {limits.multiple} for {len(limits.channels)} levels"
    if patch == whole:
        return patch, f"{size}: holds the whole median case."
    return patch, f"{size}: a part of the median case ({_by(whole)}), capped at {limits.patch_voxels} voxels."


def _batch(patch: Sizes, limits: Budget, budget: str, dims: int) -> tuple[int, str]:
    if budget == "gpu" and dims == 3 and math.prod(patch) > GPU_FULL_BATCH_VOXELS:
        return GPU_SMALL_BATCH, f"Batch {GPU_SMALL_BATCH}: patches above 64 x 64 x 64 voxels need much memory."
    return limits.batch_size, f"Batch {limits.batch_size}: usual for patches of this size."


def _normalization(dataset: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    foreground = dataset["fingerprint"]["foreground_intensity"]
    if dataset["modality"].upper() == "CT" and foreground:
        lower, upper = (float(foreground[0][key]) for key in ("p00_5", "p99_5"))
        reason = f"CT: window {lower:g} to {upper:g} HU, percentiles 0.5 and 99.5 of the foreground."
        return {"method": "window", "lower": lower, "upper": upper, "range": [-1, 1]}, reason
    reason = f"Modality {dataset['modality']}: each image is scaled by its own percentiles 0.5 and 99.5 (no unit)."
    return {"method": "percentiles", "lower": 0.5, "upper": 99.5, "range": [-1, 1]}, reason


def _network(limits: Budget) -> dict[str, Any]:
    levels = len(limits.channels)
    return {
        "channels": list(limits.channels),
        "num_res_blocks": [limits.num_res_blocks] * levels,
        "attention_levels": [False] * levels,  # MONAI's middle block attends anyway, on the coarsest grid
        "norm_num_groups": 8,
        "num_head_channels": limits.num_head_channels,
    }
