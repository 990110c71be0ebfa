"""Self-training: the averaged network gives masks to images without labels, and the trained one learns from them.

The mean teacher (Tarvainen & Valpola, NeurIPS 2017) with hard masks and a strongly augmented view for the student (FixMatch,
Sohn et al., NeurIPS 2020). The teacher sees the clean image at t = 0. The student sees another view of it, and in an objective
that reads masks from noise it sees half of these views as x_t. The teacher is the average (EMA) that is saved as the model, so
it costs no memory and its state is in every checkpoint.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn

from monai_hybrid.losses.hybrid import Taught
from monai_hybrid.networks.number_types import fastest_dtype

RAMP = 0.4  # of the updates, in which the weight rises: a teacher that has learnt nothing yet shall not teach


class MeanTeacher:
    """Masks for images without labels, and how sure they are.

    Args:
        network: the averaged network, (B, C, ...) at t = 0 -> (B, K, ...) logits.
        weight: of the self-training term, once it has risen.
        amp: bfloat16, where the device is fast in it.
    """

    def __init__(self, network: nn.Module, weight: float = 1.0, amp: bool = False) -> None:
        self.network, self.weight, self.amp = network, weight, amp
        self.progress = 0.0

    @property
    def ramp(self) -> float:
        """exp(-5 (1 - s)^2), s the share of the rise that is over (Laine & Aila, ICLR 2017): 0.0067 at the start, then 1."""
        return math.exp(-5 * (1 - min(1.0, self.progress / RAMP)) ** 2)

    @torch.no_grad()
    def __call__(self, view: Tensor, rows: Tensor, inside: Tensor | None = None) -> Taught:
        """What the teacher says of some images.

        Args:
            view: (N, C, ...) float32 in [-1, 1].
            rows: (B,) bool, on the CPU: the N places in the batch.
            inside: (N, 1, ...) bool, the voxels that count; None: all.

        Returns:
            The most likely class of each voxel, and a certainty of 1 - H / log K with H the entropy of its K probabilities: 1
            where the teacher is sure, 0 where it knows nothing.
        """
        fast = self.amp and fastest_dtype(view.device) == torch.bfloat16
        with torch.autocast(view.device.type, torch.bfloat16, enabled=fast):
            logits = self.network(view)
        log_p = logits.float().log_softmax(1)
        entropy = -(log_p.exp() * log_p).sum(1, keepdim=True)
        certainty = (1 - entropy / math.log(logits.shape[1])).clamp(0, 1)
        if inside is not None:
            certainty = certainty * inside
        return Taught(rows, log_p.argmax(1, keepdim=True), certainty, self.weight * self.ramp)


class TeachingRamp:
    """Tell a teacher how far the run is. It follows from the update's number, so a run that goes on needs no state.

    Args:
        teacher: whose weight rises.
        updates: of the whole run.
    """

    def __init__(self, teacher: MeanTeacher, updates: int) -> None:
        self.teacher, self.updates = teacher, max(1, updates)

    def attach(self, engine: Engine) -> None:
        """At the start of each update, before its batch is prepared."""
        engine.add_event_handler(Events.ITERATION_STARTED, self.start_update)

    def start_update(self, engine: Any) -> None:
        """Place the teacher."""
        self.teacher.progress = engine.state.iteration / self.updates
