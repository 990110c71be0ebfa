"""Are voxels that the model gives 80 % right in 80 % of the cases? Counts by confidence, and their expected error (ECE)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_prep.ignoring import IGNORED
from data_prep.volume import Array
from monai_hybrid.quality.temperature import tempered

BINS = 15
MARGIN = 0.25  # of the label's box, on each side: far background is always sure and always right


class Counts:
    """Voxels, their summed confidence and how many are right, by confidence of the winning class, before and after calibration.

    Attributes:
        before, after: (3, BINS) float64; `after` stays 0 without a temperature.
    """

    def __init__(self, temperature: Sequence[float] | None = None) -> None:
        self.temperature = temperature
        self.before, self.after = np.zeros((3, BINS)), np.zeros((3, BINS))

    def add(self, p: Tensor, classes: Tensor) -> None:
        """Count (K, N) probabilities of voxels whose true class is (N,)."""
        self.before += _counted(p, classes)
        if self.temperature is not None:
            self.after += _counted(tempered(p, self.temperature), classes)


def _counted(p: Tensor, classes: Tensor) -> Array:
    confidence, winner = p.max(0)
    place = (confidence * BINS).long().clamp_(0, BINS - 1)
    right = (winner == classes).double()
    ones = torch.ones_like(right)
    return np.stack([torch.bincount(place, w, BINS).numpy() for w in (ones, confidence.double(), right)])


def expected_error(counts: Array) -> float | None:
    """Expected calibration error: mean of |confidence - share right| over the voxels; None without a voxel.

    `counts` (3, BINS) as in `Counts`: voxels, their summed confidence, and how many are right.
    """
    total = counts[0].sum()
    return float(np.abs(counts[1] - counts[2]).sum() / total) if total else None


def curve(counts: Array) -> list[dict[str, float]]:
    """A point a bin that holds voxels, {"confidence", "right", "voxels"}, of `counts` (3, BINS)."""
    return [
        {"confidence": round(float(c / n), 5), "right": round(float(r / n), 5), "voxels": float(n)} for n, c, r in counts.T if n
    ]


class InTheBox:
    """Gives the probabilities of the voxels around a label to a function, piece by piece, as the inferer emits them.

    Args:
        label: (X, Y[, Z]) class index, -1 where nobody annotated; an empty one has no box.
        take: called with (K, N) probabilities and (N,) classes.
    """

    def __init__(self, label: Tensor, take: Any) -> None:
        self.label, self.take, self.box = label, take, box_of(label)

    def __call__(self, p: Tensor, place: tuple[slice, ...]) -> None:
        if self.box is None:
            return
        shared = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(place, self.box, strict=True)]
        if any(s.stop <= s.start for s in shared):
            return
        inside = tuple(slice(s.start - a.start, s.stop - a.start) for s, a in zip(shared, place, strict=True))
        classes = self.label[tuple(shared)].flatten().long()
        known = classes != IGNORED
        self.take(p[(slice(None), *inside)].flatten(1).float().cpu()[:, known], classes[known])


def box_of(label: Tensor) -> tuple[slice, ...] | None:
    """The box around all structures of (X, Y[, Z]) class indices, a quarter wider on each side; None without one."""
    places = (label > 0).nonzero()
    if not len(places):
        return None
    low, high = places.amin(0).tolist(), (places.amax(0) + 1).tolist()
    wider = [max(1, round(MARGIN * (b - a))) for a, b in zip(low, high, strict=True)]
    return tuple(slice(max(0, a - w), min(n, b + w)) for a, b, w, n in zip(low, high, wider, label.shape, strict=True))
