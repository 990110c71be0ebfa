"""What a model sees in a scan, without a label: features of its bottleneck, entropy, error of denoising, predicted Dice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_prep.volume import Array
from monai_hybrid.bundle.model import find_card, network_of
from monai_hybrid.bundle.preprocessing import image_transforms
from monai_hybrid.inferers.input_grid import InputGridInferer
from monai_hybrid.prediction.denoising import DenoisingScore
from monai_hybrid.prediction.expected import mean_dice, predictions
from monai_hybrid.prediction.signals import CaseSignals
from monai_hybrid.weights import with_pretrained

OVERLAP = 0.25  # of windows: half of what a mask needs


@dataclass(frozen=True)
class Seen:
    """One scan. `features` are (F,) float64; the others are as in `quality.csv`, None where they cannot be measured."""

    case_id: str
    image: str
    features: Array
    entropy: float | None
    error: float | None
    dice: float | None = None


class Watched(nn.Module):
    """The clean pass (t = 0) of a network, which keeps the mean of its bottleneck over all windows since `reset`."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.reset()
        network.middle_block.register_forward_hook(self._keep)

    def reset(self) -> None:
        """Forget the windows so far."""
        self._sum: Tensor | None = None
        self._windows = 0

    def _keep(self, module: nn.Module, arguments: Any, output: Tensor) -> None:
        pooled = output.detach().float().flatten(2).mean(2)
        self._sum = pooled.sum(0) if self._sum is None else self._sum + pooled.sum(0)
        self._windows += len(pooled)

    @property
    def features(self) -> Array:
        """(F,) mean over voxels and windows."""
        assert self._sum is not None, "no window was seen"
        return np.asarray((self._sum / self._windows).cpu(), np.float64)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, X, Y[, Z]) -> (B, K, X, Y[, Z]) logits."""
        logits: Tensor = self.network(x)
        return logits


def look(
    model: str, colour: str | Sequence[str] | None = None, device: str | torch.device = "cpu"
) -> Callable[[Mapping[str, Any]], Seen]:
    """A function from a case {"image", "case_id"} to what the model sees in it.

    Args:
        model: a file, or a name of the package's models.
        colour: which colours of pictures are the channels; None: as on the card.
        device: of the network.

    Raises:
        ModelFileError: no such model, or no card.
    """
    card = find_card(model)
    training = card["training"]
    network = with_pretrained(network_of(card), model).eval().to(device)
    prepare = image_transforms(card, training["spacing"], colour or card.get("colour"))
    inferer = InputGridInferer(training["patch_size"], sw_batch_size=4, overlap=OVERLAP)
    score, watched = DenoisingScore(card, training["patch_size"]), Watched(network)
    signals, quality = CaseSignals(card, score), card.get("quality") or {}

    @torch.no_grad()
    def seen(case: Mapping[str, Any]) -> Seen:
        image = prepare({"image": case["image"], "case_id": case["case_id"]})["image"].to(device)
        watched.reset()
        sums = signals.sums(image, inferer)
        entropy = inferer.segment(image, watched).entropy_foreground
        features = watched.features  # before the score, which is no clean pass
        first = case["image"][0] if isinstance(case["image"], list) else case["image"]
        error, of = (score(image, network), {}) if sums is None else signals.measured(sums, image, network, inferer)
        dice = mean_dice(predictions(quality, of))
        return Seen(str(case["case_id"]), str(first), features, _number(entropy), _number(error), dice)

    return seen


def signals_of(seen: Sequence[Seen]) -> dict[str, list[float | None]]:
    """What scans are ordered by, by the name of the order."""
    return {"error": [one.error for one in seen], "entropy": [one.entropy for one in seen], "dice": [one.dice for one in seen]}


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
