"""The handler that writes `trust.json` of an evaluation: predicted against measured Dice, and how well probabilities hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
from ignite.engine import Engine, Events
from torch import nn

from data_prep.json_io import dump_json
from data_prep.result_files import refuse_other
from monai_hybrid.evaluation.sharing import gather_rows
from monai_hybrid.prediction.expected import TRUST, predictions
from monai_hybrid.prediction.signals import CaseSignals
from monai_hybrid.processes import rank_and_number
from monai_hybrid.quality.held_out import dice_of
from monai_hybrid.quality.mask_sums import MaskSums
from monai_hybrid.quality.reliability import Counts, InTheBox, curve, expected_error

REGION = "voxels in the box around the label's structures, a quarter wider on each side"
logger = logging.getLogger("monai_hybrid.evaluation")


class TrustReport:
    """Watches the inferer of an evaluation, one case a batch, and writes what came of it.

    Calibration is counted for every model. A predicted Dice needs a card with "quality", and costs the passes of
    `CaseSignals`.

    Args:
        folder: where `trust.json` goes.
        card: of the model.
        network, inferer: of the evaluation.
        signals: of the same card.
    """

    def __init__(self, folder: str, card: Mapping[str, Any], network: nn.Module, inferer: Any, signals: CaseSignals) -> None:
        self.folder, self.network, self.inferer, self.signals = Path(folder), network, inferer, signals
        self.quality = card.get("quality") or {}
        self.temperature = (self.quality.get("calibration") or {}).get("temperature")
        self.rows: list[dict[str, Any]] = []
        self.counts = Counts(self.temperature)
        self.sums: MaskSums | None = None

    def attach(self, engine: Engine) -> None:
        """Listen before each case, collect after it, write at the end."""
        engine.add_event_handler(Events.STARTED, self.rows.clear)
        engine.add_event_handler(Events.ITERATION_STARTED, self.listen)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def listen(self, engine: Engine) -> None:
        """Make the inferer tell what it sees of the next case."""
        batch = engine.state.batch
        self.counts = Counts(self.temperature)
        label = torch.as_tensor(batch["label"])[0, 0].cpu()
        self.inferer.on_probabilities = InTheBox(label, self.counts.add)
        self.sums = self.signals.sums(batch["image"][0], self.inferer)

    def collect(self, engine: Engine) -> None:
        """A row of the case: counts, and predicted beside measured Dice of each structure."""
        self.inferer.on_probabilities = self.inferer.on_rod = None
        item, case = engine.state.output[0], engine.state.batch[0]
        told: dict[str, Any] = {}
        if self.sums is not None:
            image = torch.as_tensor(item["image"]).to(next(self.network.parameters()).device)
            _, signals = self.signals.measured(self.sums, image, self.network, self.inferer)
            told = predictions(self.quality, signals)
        pred, label = (torch.as_tensor(item[key])[0].cpu() for key in ("pred", "label"))
        dice = {name: dice_of(pred, label, index) for index, name in enumerate(self.signals.structures, 1) if name in told}
        predicted = [
            {
                "class": name,
                **dict(zip(("predicted", "low", "high"), (round(v, 4) for v in said), strict=True)),
                "dice": dice[name],
            }
            for name, said in told.items()
        ]
        counts = {"before": self.counts.before.tolist(), "after": self.counts.after.tolist()}
        self.rows.append({"case_id": str(case["case_id"]), "predicted": predicted, **counts})

    def write(self, engine: Engine) -> None:
        """Gather the cases of all processes; rank 0 writes the file."""
        rows = gather_rows(self.rows)
        if rank_and_number()[0] > 0:
            return
        content = {"format_version": 1, "trust": "evaluation", "calibration": calibration(rows, self.temperature)}
        if said := agreement(rows):
            content["predicted_dice"] = said
            logger.info(
                "predicted Dice: error %.3f, %d of %d measured ones in their interval",
                *(said[key] for key in ("error", "covered", "masks")),
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        refuse_other(self.folder / TRUST)
        dump_json(content, self.folder / TRUST)


def calibration(rows: Sequence[Mapping[str, Any]], temperature: Sequence[float] | None) -> dict[str, Any]:
    """Expected calibration error and reliability curve before, and after where the card has temperatures."""
    found: dict[str, Any] = {"region": REGION, "temperature": None if temperature is None else list(temperature)}
    for when in ("before", "after") if temperature is not None else ("before",):
        counts = np.sum([row[when] for row in rows], axis=0) if rows else np.zeros((3, 1))
        found[when] = {"error": expected_error(counts), "curve": curve(counts)}
    return found


def agreement(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Predicted against measured Dice over all cases and structures; {} where nothing was predicted."""
    points = [{"case_id": row["case_id"], **point} for row in rows for point in row["predicted"] if point["dice"] is not None]
    if not points:
        return {}
    dice, predicted = (np.array([point[key] for point in points]) for key in ("dice", "predicted"))
    rank = scipy.stats.spearmanr(predicted, dice).statistic if len(points) > 2 and np.ptp(dice) and np.ptp(predicted) else None
    return {
        "masks": len(points),
        "error": float(np.abs(dice - predicted).mean()),
        "rank_correlation": None if rank is None else float(rank),
        "covered": sum(point["low"] <= point["dice"] <= point["high"] for point in points),
        "points": points,
    }
