"""Dice between two masks where every class counts: agreement, and the numbers during training."""

from __future__ import annotations

from monai.metrics import compute_dice
from monai.networks.utils import one_hot
from torch import Tensor


def dice_per_class(pred: Tensor, label: Tensor, num_classes: int) -> list[float]:
    """Dice of classes 1..K-1. A missed structure is 0; absent in both is 1; absent and yet predicted is 0.

    For a report use `metrics.score_case`, which does not reward what is absent.

    Args:
        pred, label: (1, X, Y[, Z]) class index, same grid.
        num_classes: K, the background included.

    Raises:
        ValueError: another grid.
    """
    if pred.shape != label.shape:
        raise ValueError(f"prediction {tuple(pred.shape)} and label {tuple(label.shape)} are on different grids")
    y_pred, y = (one_hot(x[None].long(), num_classes) for x in (pred, label))
    values: list[float] = compute_dice(y_pred, y, include_background=False, ignore_empty=False)[0].tolist()
    return values
