"""Handlers that keep a run from going wrong quietly."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Engine
from monai.engines import IterationEvents
from torch import nn

from monai_hybrid.errors import TrainingFault


class GradientClip:
    """Scale the gradient down to a norm of at most `max_norm` before each optimizer step (0 switches it off).

    With MONAI's mixed precision the gradients are scaled; they are unscaled first, once, as the scaler then knows.
    """

    def __init__(self, max_norm: float = 1.0) -> None:
        self.max_norm = max_norm

    def attach(self, engine: Engine) -> None:
        """Clip when the backward pass is done."""
        if self.max_norm > 0:
            engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        if not self._steps_now(engine):
            return
        if engine.amp and engine.scaler is not None:
            engine.scaler.unscale_(engine.optimizer)
        nn.utils.clip_grad_norm_(engine.network.parameters(), self.max_norm)

    @staticmethod
    def _steps_now(engine: Any) -> bool:
        """Whether the optimizer steps after this backward pass (with accumulation it does not each time)."""
        every, length = engine.accumulation_steps, engine.state.epoch_length
        done = (engine.state.iteration - 1) % length + 1 if length else engine.state.iteration
        return done % every == 0 or done == length


class StopOnNonFinite:
    """Stop at the first loss that is not finite, before it reaches the weights, and name the cases of the batch.

    Raises:
        TrainingFault: from within the run.
    """

    def attach(self, engine: Engine) -> None:
        """Look at each loss."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        loss = engine.state.output["loss"]
        if bool(torch.isfinite(loss)):
            return
        batch = engine.state.batch
        images = torch.as_tensor(batch["image"])
        names = list(batch.get("case_id", ["?"] * len(images)))
        bad = [n for n, image in zip(names, images, strict=True) if not bool(torch.isfinite(image).all())]
        cause = (
            f"these images hold NaN or Inf: {', '.join(bad)}; run `monai-hybrid check` on the data set"
            if bad
            else f"the images are finite; cases of the batch: {', '.join(names)}; a lower learning_rate usually helps"
        )
        raise TrainingFault(
            f"the loss became {loss.item()} in update {engine.state.iteration} (epoch {engine.state.epoch}): {cause}. "
            "The weights saved last are from before it."
        )
