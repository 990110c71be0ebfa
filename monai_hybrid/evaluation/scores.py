"""Dice of every case and class on the label's own grid, as a table and a summary."""

from __future__ import annotations

import csv
import json
import logging
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.metrics import compute_dice
from monai.networks.utils import one_hot
from torch import Tensor

from monai_hybrid.weights import replace_file

logger = logging.getLogger("monai_hybrid.evaluation")


def dice_per_class(pred: Tensor, label: Tensor, num_classes: int) -> list[float]:
    """Dice of classes 1..K-1. A missed structure is 0; absent in both is 1; absent and yet predicted is 0.

    Args:
        pred, label: (1, X, Y[, Z]) class index, same grid.
    """
    if pred.shape != label.shape:
        raise ValueError(f"prediction {tuple(pred.shape)} and label {tuple(label.shape)} are on different grids")
    y_pred, y = (one_hot(x[None].long(), num_classes) for x in (pred, label))
    values: list[float] = compute_dice(y_pred, y, include_background=False, ignore_empty=False)[0].tolist()
    return values


class DiceReport:
    """Collect Dice of each case; at the end write `dice.csv` (a row a case and class) and `summary.json` under `folder`.

    Args:
        folder: where the files go.
        class_names: all K names, background first.
        about: what was evaluated (model, data set, split); copied into the summary.
    """

    def __init__(self, folder: str, class_names: Sequence[str], about: Mapping[str, Any]) -> None:
        self.folder, self.class_names, self.about = Path(folder), list(class_names), dict(about)
        self.rows: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Collect after each batch, write at the end."""
        engine.add_event_handler(Events.STARTED, lambda: self.rows.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def collect(self, engine: Engine) -> None:
        """One row a class for each decollated item of the batch."""
        for item, case in zip(engine.state.output, engine.state.batch, strict=True):
            pred, label = (torch.as_tensor(item[k]).cpu() for k in ("pred", "label"))
            values = dice_per_class(pred, label, len(self.class_names))
            for index, (name, value) in enumerate(zip(self.class_names[1:], values, strict=True), start=1):
                voxels = {"label_voxels": int((label == index).sum()), "pred_voxels": int((pred == index).sum())}
                self.rows.append({"case_id": case["case_id"], "class": name, "dice": value, **voxels})

    def write(self, engine: Engine) -> None:
        """Write both files and log a line a class."""
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.folder / "dice.csv", self._write_csv)
        summary = {**self.about, "dice": summarize(self.rows)}
        replace_file(self.folder / "summary.json", lambda path: path.write_text(json.dumps(summary, indent=2) + "\n"))
        for name, s in summary["dice"].items():
            note = f", {s['without_structure']} without the structure" if s["without_structure"] else ""
            logger.info("Dice %s: %.3f (SD %.3f, %d cases%s)", name, s["mean"], s["sd"], s["cases"], note)

    def _write_csv(self, path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, ["case_id", "class", "dice", "label_voxels", "pred_voxels"])
            writer.writeheader()
            writer.writerows(self.rows)


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean, median, standard deviation and counts of Dice a class; "all" is the mean over classes within a case."""
    by_class: dict[str, list[float]] = {}
    by_case: dict[str, list[float]] = {}
    absent: dict[str, int] = {}
    for row in rows:
        by_class.setdefault(row["class"], []).append(row["dice"])
        by_case.setdefault(row["case_id"], []).append(row["dice"])
        absent[row["class"]] = absent.get(row["class"], 0) + (row["label_voxels"] == 0)
    groups = {"all": [statistics.fmean(v) for v in by_case.values()], **by_class}
    return {
        name: {
            "mean": statistics.fmean(values),
            "median": statistics.median(values),
            "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
            "min": min(values),
            "cases": len(values),
            "without_structure": absent.get(name, 0),
        }
        for name, values in groups.items()
    }
