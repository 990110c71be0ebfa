"""Dice during training: a missed structure counts 0, and so does an invented one."""

from __future__ import annotations

from monai.handlers import IgniteMetricHandler, from_engine
from monai.metrics import DiceMetric


class DiceHandler(IgniteMetricHandler):
    """Dice of "pred" against "label" (both one-hot), background left out.

    MONAI's own handler drops the cases without the structure from the mean, false positives included. Here such a case counts 1
    when the prediction is empty too and 0 otherwise.

    Args:
        reduction: "mean" over cases and classes, or "mean_batch" for one value a class.
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(
            metric_fn=DiceMetric(include_background=False, reduction=reduction, ignore_empty=False),
            output_transform=from_engine(["pred", "label"]),
            save_details=False,
        )
