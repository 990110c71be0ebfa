"""Handlers that read and write the model files."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from torch import nn

from monai_hybrid.errors import ConfigError
from monai_hybrid.networks.merged_state import merged_state_dict
from monai_hybrid.weights import make_card, save_weights, with_pretrained

logger = logging.getLogger("monai_hybrid.weights")


class WeightsSaver:
    """Save `model.pt` and `model.safetensors` (with its card) every `interval` epochs and at the end, atomically.

    What is saved is the average of the weights (EMA), of the last epoch: a choice of the best epoch by validation would favour
    the arms that validation can measure. Only rank 0 writes.

    Args:
        model: the module to save, usually `ema_model`.
        folder: where the files go.
        network, dataset, plan, settings: for the card.
        validator: engine whose last metrics are written into the card.
        interval: epochs between saves.
        rank: this process's rank.
        reference: of the card, with `content(model file or None)` and `quality(model file, seconds)`; the file is given once,
            when the training is over, with the seconds that earlier parts of a resumed run took.

    Raises:
        ConfigError: an interval that is no whole number >= 1.
    """

    def __init__(
        self,
        model: nn.Module,
        folder: str,
        network: Mapping[str, Any],
        dataset: Mapping[str, Any],
        plan: Mapping[str, Any],
        settings: Mapping[str, Any],
        validator: Engine | None = None,
        interval: int = 1,
        rank: int = 0,
        reference: Any = None,
    ) -> None:
        if not (isinstance(interval, int) and interval >= 1):
            raise ConfigError(f"card#interval: got {interval!r}, expected a whole number of epochs >= 1")
        self.model, self.folder, self.interval, self.rank = model, Path(folder), interval, rank
        self.reference = reference
        self.describe = (network, dataset, plan, settings)
        self.validator = validator

    def attach(self, engine: Engine) -> None:
        """Save when an epoch is over. Attach it after the validation handler, so that the card has the new scores."""
        if self.rank == 0:
            engine.add_event_handler(Events.EPOCH_COMPLETED(every=self.interval) | Events.COMPLETED, self)
            engine.add_event_handler(Events.COMPLETED, self.finish)

    def finish(self, engine: Engine) -> None:
        """Save once more, as finished, and with the reference that needs the finished model."""
        self._save(engine, self.folder / "model.safetensors")

    def __call__(self, engine: Engine) -> None:
        self._save(engine)

    def _save(self, engine: Engine, finished: Path | None = None) -> None:
        network, dataset, plan, settings = self.describe
        training = {
            **settings,
            "updates": engine.state.iteration,
            "epochs": engine.state.epoch,
            "validation": _plain_metrics(self.validator),
            "finished": finished is not None,  # see `runs.finished`
        }
        card = make_card(network, dataset, plan, training)
        if self.reference is not None:
            card["reference"] = self.reference.content(finished)
            earlier = getattr(engine.state, "earlier_seconds", 0.0)
            if finished is not None and (quality := self.reference.quality(finished, earlier)):
                card["quality"] = quality
        save_weights(merged_state_dict(self.model), self.folder, card)


def _plain_metrics(validator: Engine | None) -> dict[str, Any]:
    """Metrics as numbers and lists; what is not finite becomes None, because JSON has no NaN."""
    if validator is None:
        return {}
    plain = {}
    for name, value in validator.state.metrics.items():
        values = value.tolist() if hasattr(value, "tolist") else value
        listed = values if isinstance(values, list) else [values]
        kept = [v if math.isfinite(v) else None for v in listed]
        plain[name] = kept if isinstance(values, list) else kept[0]
    return plain


class WeightsLoader:
    """Load the model when the run starts (not when the config is parsed: properties can be checked without a model).

    Weights that somebody else has put into the network since, as MONAI FL does with those that a server sent, stay: the file
    never replaces them. A second run loads the file again.
    """

    def __init__(self, network: nn.Module, path: str) -> None:
        self.network, self.path = network, path
        self.left_at = state_of(network)

    def attach(self, engine: Engine) -> None:
        """Load at the start of the run."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        if state_of(self.network) != self.left_at:
            logger.info("the network was given its weights by the application; %s is not read", self.path)
            return
        with_pretrained(self.network, self.path)
        self.left_at = state_of(self.network)


def state_of(network: nn.Module) -> list[tuple[int, int]]:
    """Where each weight lies and how often it was written to: other after every `load_state_dict`, even of equal values."""
    return [(weight.data_ptr(), weight._version) for weight in network.state_dict(keep_vars=True).values()]
