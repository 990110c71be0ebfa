"""Grey values as the network sees them, and where a hard clip would make a structure one grey.

`soft_percentiles` keeps the bulk of an image linear, like `percentiles`, and compresses by the logarithm what lies beyond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_prep.volume import Array

LOWER, UPPER = 0.5, 99.5  # percentiles of the whole image
HARD, SOFT, WINDOW = "percentiles", "soft_percentiles", "window"
TAIL = 0.5  # of the output's range of 2: what each used tail gets
MARGIN = 4.0  # other images are brighter, and on a coarser grid the noise and with it the bulk are narrower
Bounds = tuple[float, float]


def bulk(values: Array, lower: float = LOWER, upper: float = UPPER) -> Bounds:
    """Two percentiles of an image, any shape; its smallest and largest value where they coincide: over 99 % of one grey."""
    low, high = (float(bound) for bound in np.percentile(values, [lower, upper]))
    return (low, high) if high > low else (float(values.min()), float(values.max()))


def soft(values: Array, normalization: Mapping[str, Any]) -> Array:
    """One channel by `soft_percentiles`, in [-1, 1], float64; a constant image gives zeros.

    With u = (v - low) / (high - low), the bulk is linear. Above it the value is 1 - TAIL + TAIL * log(u) / log(1 + above), at
    most 1: `above` is how far structures may reach beyond, in units of high - low. Likewise below. A tail that no structure
    needs (0) takes no room: it is clipped.

    Args:
        values: (X, Y[, Z]), finite.
        normalization: {"lower", "upper", "below", "above"} of the plan.
    """
    grey = np.asarray(values, dtype=np.float64)
    low, high = bulk(grey, float(normalization["lower"]), float(normalization["upper"]))
    if high <= low:
        return np.zeros_like(grey)
    below, above = float(normalization["below"]), float(normalization["above"])
    first, last = -1 + TAIL * (below > 0), 1 - TAIL * (above > 0)
    u = (grey - low) / (high - low)
    out = first + (last - first) * u.clip(0, 1)
    for tail, excess, sign in ((above, u - 1, 1), (below, -u, -1)):
        if tail > 0:
            out += sign * TAIL * (np.log1p(excess.clip(0)) / np.log1p(tail)).clip(max=1)
    return out


def undone(values: Array, normalization: Mapping[str, Any]) -> Array:
    """Grey values that are scaled to these in [-1, 1], so that an image that a model drew is read as it was drawn.

    Of a window in its unit. Of percentiles in units of the bulk, which is 0 to 1 where it is compressed: these are the image's
    own, so the way back is right as far as the image has the share of darkest and brightest voxels that it should have.

    Args:
        values: of any shape, in [-1, 1].
        normalization: the plan's entry; one without a method leaves the values as they are.
    """
    grey, method = np.asarray(values, dtype=np.float64), normalization.get("method")
    if method == WINDOW:
        lower, upper = float(normalization["lower"]), float(normalization["upper"])
        return lower + (grey + 1) / 2 * (upper - lower)
    if method != SOFT:
        return grey
    below, above = float(normalization["below"]), float(normalization["above"])
    first, last = -1 + TAIL * (below > 0), 1 - TAIL * (above > 0)
    beyond = [np.expm1(over.clip(0) / TAIL * np.log1p(tail)) for over, tail in ((grey - last, above), (first - grey, below))]
    return np.asarray(((grey - first) / (last - first)).clip(0, 1) + beyond[0] - beyond[1])


def tails(reach: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """`below` and `above` for structures that reach so far beyond the bulk, each with a margin; 0 where none does."""
    below, above = (max((side[i] for side in reach), default=0.0) for i in (0, 1))
    return round(max(0.0, MARGIN * below), 4), round(max(0.0, MARGIN * above), 4)
