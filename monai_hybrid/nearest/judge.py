"""One model against scans: the findings, the distance, the error of its denoising, and what follows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from data_prep.evenly import spread
from data_prep.shift.distance import image_findings, parts
from data_prep.shift.domain import Domain
from data_prep.shift.finding import Finding
from data_prep.shift.images import domain_of_images
from monai_hybrid.bundle.model import find_card, network_of
from monai_hybrid.bundle.preprocessing import image_transforms
from monai_hybrid.nearest.target import Scans
from monai_hybrid.prediction.denoising import DenoisingScore
from monai_hybrid.weights import with_pretrained

DENOISED = 3  # scans
# Of distance and doublings of the denoising error together. Measured: 0.0 to 3.4 between two hospitals' scans of one organ, 6.8
# and more to other organs (docs/how-to/models.md).
RESEMBLES = 4.0


@dataclass(frozen=True)
class Near:
    """A model against scans.

    Attributes:
        model: its name or path.
        universal: trained on random shapes.
        structures: of its masks.
        parts: of the distance; {} of a universal model, and where its card keeps no numbers of its images.
        findings: sentences of the shift report that need no label.
        denoising: median error on the scans; None where it cannot be measured.
        usual: the median on scans of its own source; None where the card does not say.
    """

    model: str
    universal: bool
    structures: list[str]
    parts: Mapping[str, float] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    denoising: float | None = None
    usual: float | None = None

    @property
    def distance(self) -> float | None:
        """Sum of the parts."""
        return round(sum(self.parts.values()), 3) if self.parts else None

    @property
    def doublings(self) -> float:
        """How often the error doubles from the model's own scans to these; 0 where it does not grow or nobody knows."""
        if not self.denoising or not self.usual:
            return 0.0
        return max(0.0, math.log2(self.denoising / self.usual))

    @property
    def score(self) -> float | None:
        """Distance and doublings together: the smaller, the nearer; None of a universal model."""
        return None if self.distance is None else round(self.distance + self.doublings, 3)

    @property
    def resembles(self) -> bool:
        """Whether the scans are like those that the model was trained on."""
        return self.score is not None and self.score <= RESEMBLES


def judged(model: str, scans: Scans, curves: Any, card: Mapping[str, Any] | None = None) -> Near:
    """Compare one model with scans.

    Args:
        model: a model file, or a name of the package's models.
        scans: of as many dimensions.
        curves: their quantiles after the normalisation of this model's plan.
        card: of the model, where it was read already.

    Raises:
        ModelFileError: no card, or weights of another network.
        DataError: a scan that cannot be read.
    """
    card = card or find_card(model)
    universal = bool(card["plan"].get("universal"))
    structures = [str(label["name"]) for label in card["labels"]][1:]
    source = None if universal else _source(model, card)
    target = domain_of_images(scans.name, scans.dataset, scans.facts, {}, curves)
    return Near(
        model,
        universal,
        structures,
        {} if source is None else parts(source, target),
        [] if source is None else image_findings(source, target),
        _denoising(model, card, scans),
        _usual(card),
    )


def _source(model: str, card: Mapping[str, Any]) -> Domain | None:
    """The training images as the card's reference keeps them; None where it keeps none, or nothing that can be used."""
    kept: Any = (card.get("reference") or {}).get("images")
    try:
        curves: Any = np.asarray(kept["quantiles"], dtype=np.float64)[None]
        edges = {name: {"median": [float(edge) for edge in kept[name]]} for name in ("spacing", "shape")}
        known, kinds = bool(kept["spacing_known"]), {str(kind): int(n) for kind, n in kept["orientations"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    dims, channels = int(card["spatial_dims"]), len(card["channels"])
    lengths = [len(edge["median"]) for edge in edges.values()]
    sound = np.isfinite(curves).all() and all(edge > 0 for of in edges.values() for edge in of["median"])
    if lengths != [dims, dims] or curves.shape != (1, channels, 101) or not sound:
        return None
    training = card["training"]
    plan = {**card["plan"], "spacing": training["spacing"], "patch_size": training["patch_size"]}
    facts = {**edges, "spacing_known": known, "orientations": kinds}
    return domain_of_images(model, {"modality": "unknown", **card}, facts, plan, curves)


def _usual(card: Mapping[str, Any]) -> float | None:
    listed = ((card.get("reference") or {}).get("scores") or {}).get("denoising_error")
    numbers = [float(n) for n in listed if isinstance(n, (int, float)) and n > 0] if isinstance(listed, list) else []
    return statistics.median(numbers) if numbers else None


def _denoising(model: str, card: Mapping[str, Any], scans: Scans) -> float | None:
    """Median over a few scans; None without a trained image head, or where the scans have another number of channels."""
    score = DenoisingScore(card, card["training"]["patch_size"])
    if not score.enabled or len(card["channels"]) != scans.curves[0].shape[1]:
        return None
    network = with_pretrained(network_of(card), model).eval()
    # A universal model knows no spacing: it is shown the scans as they are.
    spacing = scans.facts["spacing"]["median"] if card["plan"].get("universal") else card["training"]["spacing"]
    prepare = image_transforms(card, spacing, scans.colour)
    found = []
    for case in spread(scans.cases, DENOISED):
        with torch.no_grad():
            found.append(score(prepare({"image": case["image"], "case_id": case["case_id"]})["image"], network))
    numbers = [value for value in found if value is not None]
    return float(f"{statistics.median(numbers):.4g}") if numbers else None
