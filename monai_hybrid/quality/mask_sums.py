"""What the sweep of windows knows of each structure, on the network's grid: its mask, its probability, its entropy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

FAINT = 0.1  # a probability below it is no part of a structure: far background would add up


class MaskSums:
    """Takes the rods of one image.

    Attributes:
        labels: (X, Y[, Z]) class index on the network's grid, uint8 (int16 for more than 256 classes).

    Args:
        size: of the network's grid.
        num_classes: K.
    """

    def __init__(self, size: Sequence[int], num_classes: int) -> None:
        self.labels = torch.zeros(tuple(size), dtype=torch.uint8 if num_classes <= 256 else torch.int16)
        self.voxels, self.inside, self.mass, self.entropy = torch.zeros(4, num_classes, dtype=torch.float64)

    def add(self, axes: Sequence[int], rod: Any) -> None:
        """Take a rod of `finished_rods`."""
        turned = self.labels.permute(tuple(axes))
        for where, logits in rod.tiles():
            p = logits.softmax(0)
            top, winner = p.max(0)
            entropy = torch.special.entr(p).sum(0) / math.log(len(p))
            flat, K = winner.flatten(), len(p)
            self.voxels += torch.bincount(flat, minlength=K).cpu()
            self.inside += torch.bincount(flat, top.flatten().double(), K).cpu()
            self.entropy += torch.bincount(flat, entropy.flatten().double(), K).cpu()
            self.mass += (p * (p >= FAINT)).flatten(1).sum(1, dtype=torch.float64).cpu()
            first = rod.outer.start
            turned[first + where.start : first + where.stop, rod.inner.start : rod.inner.stop] = winner.to("cpu", turned.dtype)

    def soft_dice(self, index: int) -> float | None:
        """The Dice that the probabilities expect of their own mask; None without a mask."""
        if not self.voxels[index]:
            return None
        return float(2 * self.inside[index] / (self.voxels[index] + self.mass[index]))

    def mean_entropy(self, index: int) -> float | None:
        """Mean entropy over the mask, over log K; None without a mask."""
        return float(self.entropy[index] / self.voxels[index]) if self.voxels[index] else None
