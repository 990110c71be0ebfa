"""plan.json: spacing, patch, normalisation, batch and network, each with its reason.

The rules follow nnU-Net (Isensee et al., Nature Methods 2021) in spirit: read them off the data, state them, let the
user override. All sizes are per axis, in RAS order for 3D.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data_prep.amounts import cells
from data_prep.ceiling import Ceiling
from data_prep.errors import ConfigError
from data_prep.finer import respecting
from data_prep.normalising import HARD, LOWER, SOFT, UPPER, WINDOW, tails
from data_prep.patches import SPAN, Budget, Room, Sizes, Spacing, by, coarsened, covering, factors, shrunk
from data_prep.resampling import AREA

FORMAT_VERSION = 1
MOSTLY = 0.5  # of a structure's images: beyond the clip in more than that, it is not clipped
BUDGETS = {
    ("cpu", 3): Budget((16, 32, 64), 1, 8, 40**3, 32 * 40 * 32, 2.0, 32),
    ("cpu", 2): Budget((16, 32, 64, 64), 1, 16, 96**2, 96**2, 4.0, 32),
    ("gpu", 3): Budget((32, 64, 128, 256), 1, 8, 96**3, 96**3, 1.0, 64),
    ("gpu", 2): Budget((32, 64, 128, 256), 2, 32, 256**2, 256**2, 1.0, 64),
}
GPU_FULL_BATCH_VOXELS = 64**3  # a batch of 8 larger 3D patches exceeds 24 GB
GPU_SMALL_BATCH = 2


def make_plan(
    dataset: Mapping[str, Any],
    budget: str = "cpu",
    spacing: Sequence[float] | None = None,
    masks: Callable[[Sequence[float]], Ceiling] | None = None,
) -> dict[str, Any]:
    """The content of plan.json.

    Args:
        dataset: the content of dataset.json.
        budget: "cpu" or "gpu".
        spacing: the user's own target in mm per RAS axis (pixels per network pixel in 2D without known spacing).
        masks: gives the best Dice that a spacing allows; None: not looked at.

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
    ceiling: dict[str, Any] | None = None
    ceiling_reasons: list[str] = []
    if masks is not None:
        target, ceiling, ceiling_reasons = respecting(masks, target, spacing is not None, Room(extent, median, limits))
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
        "resampling": AREA,
        **({"ceiling": ceiling} if ceiling else {}),
        "patch_size": list(patch),
        "normalization": normalization,
        "batch_size": batch,
        "network": _network(limits),
        "reasons": [
            f"The median training case is {by(shape)} {cells(dims)} of {by(median)} {unit}, axes in "
            f"{'RAS order' if dims == 3 else 'the order of the file'}.",
            spacing_reason,
            *ceiling_reasons,
            patch_reason,
            normalization_reason,
            batch_reason,
            f"Network: {len(limits.channels)} levels with {by(limits.channels)} channels: budget '{budget}'.",
        ],
    }


def _spacing(
    extent: Spacing, median: Spacing, limits: Budget, wanted: Sequence[float] | None, budget: str
) -> tuple[Spacing, str]:
    """Target spacing and its reason: the user's, else the finest that keeps a whole (or half a) case in one patch."""
    if wanted is not None:
        return checked_spacing(wanted, len(median)), f"Spacing {by(tuple(wanted))} was asked for with --spacing."
    candidates = [coarsened(median, factor) for factor in factors(limits.coarsest)]
    for candidate in candidates:
        if math.prod(covering(extent, candidate, limits.multiple)) <= limits.whole_voxels:
            return candidate, _why_whole(candidate, median, budget)
    room = Room(extent, median, limits)
    for candidate in candidates:
        if room.spans(candidate, SPAN):
            return candidate, _why_part(candidate, median, budget)
    last = candidates[-1]
    reason = f"a patch sees less than half of a case, and the limit of coarsening for the budget '{budget}' is reached"
    return last, f"Spacing {by(last)}: {reason}."


def _why_whole(chosen: Spacing, median: Spacing, budget: str) -> str:
    if chosen == coarsened(median, 1):
        return f"Spacing {by(chosen)}: the median of the training cases; one patch holds a whole case."
    return (
        f"Spacing {by(chosen)}: coarser than the median {by(median)}, equally on all fine axes, so that one patch "
        f"holds a whole case within the budget '{budget}'."
    )


def _why_part(chosen: Spacing, median: Spacing, budget: str) -> str:
    if chosen == coarsened(median, 1):
        return f"Spacing {by(chosen)}: the median of the training cases."
    return (
        f"Spacing {by(chosen)}: coarser than the median {by(median)}, so that a patch within the budget '{budget}' "
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
    size = f"Patch {by(patch)}, edges divisible by {limits.multiple} for {len(limits.channels)} levels"
    if patch == whole:
        return patch, f"{size}: holds the whole median case."
    return patch, f"{size}: a part of the median case ({by(whole)}), capped at {limits.patch_voxels} {cells(len(patch))}."


def _batch(patch: Sizes, limits: Budget, budget: str, dims: int) -> tuple[int, str]:
    if budget == "gpu" and dims == 3 and math.prod(patch) > GPU_FULL_BATCH_VOXELS:
        return GPU_SMALL_BATCH, f"Batch {GPU_SMALL_BATCH}: patches above 64 x 64 x 64 voxels need much memory."
    return limits.batch_size, f"Batch {limits.batch_size}: usual for patches of this size."


def _normalization(dataset: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    facts = dataset["fingerprint"]
    each: Mapping[str, Mapping[str, float]] = facts.get("structure_intensity", {})
    if dataset["modality"].upper() == "CT" and facts["foreground_intensity"]:
        return _window(facts["foreground_intensity"][0], each)
    beyond = {name: one for name, one in each.items() if one["beyond"] > MOSTLY}
    whole = {"lower": LOWER, "upper": UPPER}
    if not beyond:
        modality = dataset["modality"]
        if modality == "unknown" and not dataset.get("colour"):  # colours are no scan of either
            modality = "unknown (build --modality MRI states it, or CT, which is scaled in HU)"
        reason = f"Modality {modality}: each image is scaled by its own percentiles 0.5 and 99.5 (no unit)."
        return {"method": HARD, **whole, "range": [-1, 1]}, reason
    below, above = tails([(one["below"], one["above"]) for one in beyond.values()])
    reason = (
        f"Each image is scaled by its own percentiles 0.5 and 99.5. Beyond them it is compressed and not clipped: there "
        f"lies {', '.join(beyond)}."
    )
    return {"method": SOFT, **whole, "below": below, "above": above or float(not below), "range": [-1, 1]}, reason


def _window(pooled: Mapping[str, float], each: Mapping[str, Mapping[str, float]]) -> tuple[dict[str, Any], str]:
    """Of CT: the pooled foreground's percentiles, widened for a structure most of which they would clip."""
    lower, upper = float(pooled["p00_5"]), float(pooled["p99_5"])
    beyond = {name: one for name, one in each.items() if not lower <= one["p50"] <= upper}
    reason = "CT: window {} HU, percentiles 0.5 and 99.5 of the foreground{}."
    wide = f", widened for {', '.join(beyond)}" if beyond else ""
    lower, upper = (
        min([lower, *(one["p05"] for one in beyond.values())]),
        max([upper, *(one["p95"] for one in beyond.values())]),
    )
    return {"method": WINDOW, "lower": lower, "upper": upper, "range": [-1, 1]}, reason.format(f"{lower:g} to {upper:g}", wide)


def _network(limits: Budget) -> dict[str, Any]:
    levels = len(limits.channels)
    return {
        "channels": list(limits.channels),
        "num_res_blocks": [limits.num_res_blocks] * levels,
        "attention_levels": [False] * levels,  # MONAI's middle block attends anyway, on the coarsest grid
        "norm_num_groups": 8,
        "num_head_channels": limits.num_head_channels,
    }
