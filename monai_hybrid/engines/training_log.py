"""What a run writes down, to TensorBoard and to a text file: loss terms, mask loss in bins of t, validation Dice a class."""

from __future__ import annotations

import itertools
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents
from torch import Tensor

from data_prep.atomic import replace_file
from monai_hybrid.evaluation.named_scores import scores_by_structure
from monai_hybrid.losses import HybridLoss

NUM_BINS = 10
TERMS = ("loss", "image", "mask_noisy", "mask_clean", "taught", "certainty")
logger = logging.getLogger("monai_hybrid.training")


class TrainingLog:
    """Log scalars every `interval` updates and a line every epoch.

    The mask loss is logged against t, because that curve shows what the network knows: t = 0 is ordinary segmentation, at t = T
    only the mean mask is left. If the first bins are bad, lambda_mask or the share of clean inputs is too low.

    Args:
        loss: the loss whose terms are logged.
        writer: a TensorBoard `SummaryWriter`, or None.
        folder: `history.jsonl` is written here, one JSON object an epoch.
        class_names: names of all K classes, background first.
        validator: engine with metrics "val_mean_dice" and Dice of each structure.
        interval: updates between scalars.
        rank: only rank 0 logs.
    """

    def __init__(
        self,
        loss: HybridLoss,
        writer: Any,
        folder: str,
        class_names: Sequence[str],
        validator: Engine | None = None,
        interval: int = 10,
        rank: int = 0,
    ) -> None:
        self.loss, self.writer, self.folder, self.rank = loss, writer, Path(folder), rank
        self.class_names, self.validator, self.interval = list(class_names), validator, interval
        self.curve = MaskLossByTime(loss.schedule.num_timesteps)
        self.sums: dict[str, list[Tensor]] = {}

    def attach(self, engine: Engine) -> None:
        """Collect each batch, write each epoch. Attach it after the validation handler."""
        if self.rank != 0:
            return
        vars(engine.state).setdefault("also_saved", {})["log"] = self  # for Checkpoint
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self.collect)
        engine.add_event_handler(Events.ITERATION_COMPLETED(every=self.interval), self.write_scalars)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write_epoch)

    def collect(self, engine: Engine) -> None:
        """Keep the terms of this batch, still on the device: no synchronisation."""
        terms = self.loss.terms
        if terms is None:
            return
        named = {"image": terms.image, "mask_noisy": terms.mask_noisy, "mask_clean": terms.mask_clean}
        named |= {"taught": terms.taught, "certainty": terms.certainty}
        for name, value in {"loss": engine.state.output["loss"].detach(), **named}.items():
            if value is not None:
                self.sums.setdefault(name, []).append(value)
        self.curve.add(terms.timesteps, terms.mask_by_sample)

    def write_scalars(self, engine: Any) -> None:
        """The latest terms and the learning rate."""
        if self.writer is None:
            return
        for name, values in self.sums.items():
            self.writer.add_scalar(f"train/{name}", float(values[-1]), engine.state.iteration)
        self.writer.add_scalar("train/learning_rate", engine.optimizer.param_groups[0]["lr"], engine.state.iteration)

    def write_epoch(self, engine: Engine) -> None:
        """Means of the epoch, the curve over t and the validation, then start anew."""
        state = engine.state
        means = {name: float(torch.stack(on_processor(values)).mean()) for name, values in self.sums.items()}
        record: dict[str, Any] = {"epoch": state.epoch, "updates": state.iteration, **means}
        record["mask_loss_by_t"] = self.curve.means()
        record |= self._validation(state.epoch)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "history.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(record) + "\n")
        self._to_tensorboard(record)
        logger.info("epoch %d/%s  %s", state.epoch, state.max_epochs, _sentence(record))
        self.sums.clear()
        self.curve = MaskLossByTime(self.loss.schedule.num_timesteps)

    def state_dict(self) -> dict[str, Any]:
        """The terms of an unfinished epoch, and how many lines the history has."""
        path = self.folder / "history.jsonl"
        return {
            "sums": {name: [float(value) for value in values] for name, values in self.sums.items()},
            "timesteps": [t.tolist() for t in self.curve.timesteps],
            "values": [v.tolist() for v in self.curve.values],
            "lines": len(path.read_bytes().splitlines()) if path.is_file() else 0,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`; lines written after it are dropped from the history, for their epochs come again."""
        self.sums = {name: [torch.tensor(value) for value in values] for name, values in state["sums"].items()}
        self.curve.timesteps = [torch.tensor(t) for t in state["timesteps"]]
        self.curve.values = [torch.tensor(v) for v in state["values"]]
        path = self.folder / "history.jsonl"
        if path.is_file():
            kept = b"".join(path.read_bytes().splitlines(keepends=True)[: state["lines"]])
            replace_file(path, lambda temporary: temporary.write_bytes(kept))

    def _validation(self, epoch: int) -> dict[str, Any]:
        """Dice of this epoch's validation, if there was one."""
        if self.validator is None or self.validator.state.epoch != epoch:
            return {}
        metrics = self.validator.state.metrics
        return {"val_mean_dice": metrics.get("val_mean_dice"), "val_dice": scores_by_structure(metrics, self.class_names)}

    def _to_tensorboard(self, record: dict[str, Any]) -> None:
        if self.writer is None:
            return
        for name, value in record["mask_loss_by_t"].items():
            if value is not None:
                self.writer.add_scalar(f"mask_loss_by_t/{name}", value, record["updates"])
        for name, value in record.get("val_dice", {}).items():
            self.writer.add_scalar(f"validation/dice_{name}", value, record["epoch"])
        if record.get("val_mean_dice") is not None:
            self.writer.add_scalar("validation/mean_dice", record["val_mean_dice"], record["epoch"])
        self.writer.flush()


def on_processor(values: Sequence[Tensor]) -> list[Tensor]:
    """The same on the CPU: after a checkpoint within an epoch some lie there, and those since on the training's device."""
    return [value.cpu() for value in values]


def _sentence(record: dict[str, Any]) -> str:
    parts = [f"{name} {record[name]:.4f}" for name in TERMS if name in record]
    if record.get("val_mean_dice") is not None:
        classes = ", ".join(f"{name} {value:.3f}" for name, value in record["val_dice"].items())
        parts.append(f"validation Dice {record['val_mean_dice']:.3f} ({classes})")
    return "  ".join(parts)


class MaskLossByTime:
    """Mean mask loss at t = 0 and in `NUM_BINS` equal bins of (0, T]."""

    def __init__(self, num_timesteps: int) -> None:
        self.num_timesteps = num_timesteps
        self.timesteps: list[Tensor] = []
        self.values: list[Tensor] = []

    def add(self, timesteps: Tensor, values: Tensor) -> None:
        """Add (N,) timesteps (CPU) and their losses (any device)."""
        self.timesteps.append(timesteps)
        self.values.append(values)

    def means(self) -> dict[str, float | None]:
        """Name of the bin ("clean", "000-100", ...) -> mean loss, None where nothing was drawn."""
        edges = [round(i * self.num_timesteps / NUM_BINS) for i in range(NUM_BINS + 1)]
        names = ["clean"] + [f"{lo:03d}-{hi:03d}" for lo, hi in itertools.pairwise(edges)]
        if not self.values:
            return dict.fromkeys(names)
        t = torch.cat(self.timesteps)
        values = torch.cat(on_processor(self.values))
        bins = torch.bucketize(t, torch.tensor(edges))  # bin i holds edges[i - 1] < t <= edges[i], bin 0 holds t = 0
        means = [float(values[bins == i].mean()) for i in range(NUM_BINS + 1)]
        return {name: None if math.isnan(value) else value for name, value in zip(names, means, strict=True)}
