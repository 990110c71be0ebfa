"""What a student is shown and compared with: clean patches, the teacher's probabilities, and labels where there are some.

    L = CE(p_teacher, p_student) + (1 - Dice(p_teacher, p_student)) + label_weight E[ l_seg(y_student, y) ]

The teacher sees the very patch that the student sees, augmented and all (Beyer et al., CVPR 2022: "a good teacher is patient
and consistent"), so every draw is another example, with a label or without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from torch import Tensor

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.distilling.teacher import Teacher
from monai_hybrid.engines.prepare_batch import HybridPrepareBatch
from monai_hybrid.losses.hybrid import HybridLoss, HybridTarget, Taught


@dataclass
class DistilTarget(HybridTarget):
    """`HybridTarget` with the teacher's probabilities.

    Attributes:
        probabilities: (B, K, ...) float32, summing to 1 over K.
    """

    probabilities: Tensor | None = None


class DistilPrepareBatch(HybridPrepareBatch):
    """Every patch clean, t = 0, with the teacher's probabilities.

    Args:
        schedule: of the student; only t = 0 of it is used.
        teacher: see `Teacher`.
    """

    def __init__(self, schedule: NoiseSchedule, teacher: Teacher) -> None:
        super().__init__(schedule, "supervised")
        self.distilled_from = teacher  # `self.teacher` is the one of self-training

    def draw_timesteps(self, has_label: Tensor, taught: Taught | None) -> Tensor:
        """(B,) zeros, for images without a label too."""
        return torch.zeros_like(has_label, dtype=torch.int64)

    def __call__(
        self, batchdata: Mapping[str, Any], *args: Any, **kwargs: Any
    ) -> tuple[Tensor, DistilTarget, tuple, dict[str, Any]]:
        """As the base class, with a `DistilTarget`."""
        x, target, more, words = super().__call__(batchdata, *args, **kwargs)
        return x, DistilTarget(**vars(target), probabilities=self.distilled_from(x)), more, words


class DistilLoss(HybridLoss):
    """Cross-entropy and soft Dice to the teacher's probabilities, and `label_weight` times the usual loss to the labels.

    Args:
        schedule: of the student.
        num_image_channels: C; the student's image channels are not trained.
        label_weight: of the labels; 0 for the teacher alone.
    """

    def __init__(self, schedule: NoiseSchedule, num_image_channels: int = 1, label_weight: float = 0.5) -> None:
        super().__init__(schedule, num_image_channels, lambda_clean=label_weight)
        self.dice_of_teacher = DiceLoss(softmax=True)

    def forward(self, prediction: Tensor, target: HybridTarget) -> Tensor:
        """(B, C + K, ...) prediction against a `DistilTarget`: a scalar, float32 whatever autocast is on."""
        assert isinstance(target, DistilTarget) and target.probabilities is not None
        labels = super().forward(prediction, target)
        with torch.autocast(prediction.device.type, enabled=False):
            logits, p = prediction.float()[:, self.num_image_channels :], target.probabilities
            return F.cross_entropy(logits, p) + self.dice_of_teacher(logits, p) + labels
