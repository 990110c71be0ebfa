"""One number a structure, under a name: trackers such as MLflow take plain numbers, and not every name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine, Events

PER_CLASS = "val_dice_per_class"


def score_name(structure: str) -> str:
    """The metric of a structure: `val_dice_left ventricle`. What MLflow refuses in a name becomes `_`."""
    return "val_dice_" + re.sub(r"[^\w\-. ]", "_", structure)


def scores_by_structure(metrics: Mapping[str, Any], class_names: Sequence[str]) -> dict[str, float]:
    """Dice of each structure in an engine's metrics, one number each or (in copies of earlier bundles) as one tensor.

    Args:
        metrics: of an engine's state.
        class_names: all K names, background first.
    """
    structures = class_names[1:]
    if PER_CLASS in metrics:
        return dict(zip(structures, torch.as_tensor(metrics[PER_CLASS]).flatten().tolist(), strict=True))
    return {name: float(metrics[score_name(name)]) for name in structures if score_name(name) in metrics}


class NamedScores:
    """Put one number a structure in the place of `val_dice_per_class`, a tensor (K - 1,), when a validation is over.

    Args:
        class_names: all K names, background first.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = list(class_names)

    def attach(self, engine: Engine) -> None:
        """After the metrics, which an evaluator attaches before its handlers."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        metrics = engine.state.metrics
        if PER_CLASS in metrics:
            named = scores_by_structure(metrics, self.class_names)
            del metrics[PER_CLASS]
            metrics.update({score_name(name): value for name, value in named.items()})
