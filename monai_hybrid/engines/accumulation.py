"""An update of several batches: their gradients are gathered, and the optimizer steps once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from monai.engines import IterationEvents
from monai.utils.enums import CommonKeys as Keys
from torch import Tensor


class AccumulatedUpdate:
    """The `iteration_update` of MONAI's SupervisedTrainer for updates of several batches.

    With MONAI's own `accumulation_steps` an iteration is a batch. Schedule, average, log and length of a run count iterations,
    so they would count batches in the place of updates, and a run that ended between two steps would lose its last gradients.
    Here an iteration is an update, whatever it gathers. BACKWARD_COMPLETED comes once, when all gradients are there.

    Args:
        batches: in an update.
    """

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def __call__(self, engine: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """One step of the optimizer; `batch` holds the samples of all batches, one batch after the other."""
        scaler = engine.scaler if engine.amp else None
        engine.network.train()
        engine.optimizer.zero_grad(set_to_none=engine.optim_set_to_none)
        losses = []
        for part in parts_of(batch, self.batches):
            loss = self._loss(engine, part)
            losses.append(loss.detach())
            (loss if scaler is None else scaler.scale(loss)).div(self.batches).backward()
        engine.state.output[Keys.LOSS] = torch.stack(losses).mean()
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        if scaler is None:
            engine.optimizer.step()
        else:
            scaler.step(engine.optimizer)
            scaler.update()
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        output: dict[str, Any] = engine.state.output
        return output

    @staticmethod
    def _loss(engine: Any, part: Mapping[str, Any]) -> Tensor:
        """The loss of a batch, a scalar, by the steps and with the events of MONAI's trainer."""
        inputs, targets, args, kwargs = engine.prepare_batch(part, engine.state.device, engine.non_blocking, **engine.to_kwargs)
        engine.state.output = {Keys.IMAGE: inputs, Keys.LABEL: targets}
        mixed = engine.amp and engine.scaler is not None
        with torch.autocast("cuda", **engine.amp_kwargs) if mixed else nullcontext():
            engine.state.output[Keys.PRED] = engine.inferer(inputs, engine.network, *args, **kwargs)
            engine.fire_event(IterationEvents.FORWARD_COMPLETED)
            loss: Tensor = engine.loss_function(engine.state.output[Keys.PRED], targets).mean()
        engine.state.output[Keys.LOSS] = loss
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        return loss


def parts_of(batch: Mapping[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """`number` batches of equal size, in order, of one: each value, a tensor or a list, is cut along its first axis."""
    size = len(batch["image"]) // number
    for first in range(0, number * size, size):
        yield {name: values[first : first + size] for name, values in batch.items()}
