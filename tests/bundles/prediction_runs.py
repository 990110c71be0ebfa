"""Run inference.json in this process, with models that are made instead of trained."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bundle_runs import BUNDLE
from monai.bundle import ConfigWorkflow
from torch import Tensor, nn

from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.runs.machine_faults import own_error
from monai_hybrid.weights import save_weights

NETWORK = {"channels": [8, 16], "num_res_blocks": [1, 1], "attention_levels": [False, False], "norm_num_groups": 8}


class Threshold(nn.Module):
    """Three classes by grey value alone: dark, middle, bright; no orientation, no position."""

    def __init__(self) -> None:
        super().__init__()
        self.borders = nn.Parameter(torch.tensor([-0.3, 0.4]))

    def forward(self, x: Tensor, timesteps: Tensor | None = None, return_noise: bool = False) -> Tensor:
        """(B, 1, ...) -> (B, 3, ...)."""
        low, high = ((x - border) * 10 for border in self.borders)
        return torch.cat([-low, torch.minimum(low, -high), high], 1)


def model_card(dims: int, spacing: float, patch: int, num_classes: int = 3, objective: str = "hybrid") -> dict[str, Any]:
    """The card of a made model; the values of its labels are 0, 10, 20, ..."""
    names = ["background", "grey", "white", "other"][:num_classes]
    window = {"method": "percentiles", "lower": 0.5, "upper": 99.5, "range": [-1, 1]}
    return {
        "format_version": 1,
        "network": {**NETWORK, "num_head_channels": 16, "spatial_dims": dims, "in_channels": 1, "num_classes": num_classes},
        "spatial_dims": dims,
        "channels": ["image"],
        "labels": [{"index": i, "value": 10 * i, "name": n} for i, n in enumerate(names)],
        "plan": {"normalization": window},
        "training": {
            "objective": objective,
            "prediction_type": "v",
            "noise_schedule": "cosine",
            "num_timesteps": 1000,
            "patch_size": [patch] * dims,
            "spacing": [spacing] * dims,
        },
    }  # fmt: skip


def random_model(folder: Path, dims: int = 3, spacing: float = 4.0, patch: int = 16, **card: Any) -> Path:
    """A hybrid network with random weights."""
    torch.manual_seed(0)
    described = model_card(dims, spacing, patch, **card)
    network = HybridDiffusionUNet(**described["network"])
    save_weights(network.state_dict(), folder, described)
    return folder / "model.pt"


def threshold_model(folder: Path, dims: int = 3, patch: int = 16, window: tuple[float, float] | None = None) -> dict[str, Any]:
    """Settings that put `Threshold` in the network's place; `window`: fixed grey values instead of percentiles."""
    card = model_card(dims, 1.0, patch, objective="supervised")
    if window:
        card["plan"]["normalization"] = {"method": "window", "lower": window[0], "upper": window[1], "range": [-1, 1]}
    save_weights(Threshold().state_dict(), folder, card)
    return {"model": str(folder / "model.pt"), "network_def": {"_target_": "prediction_runs.Threshold"}}


def predict(bundle: str = BUNDLE.name, **settings: Any) -> Exception | None:
    """Run the configuration; gives our own error instead of raising it."""
    root = BUNDLE.parent / bundle
    given = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
    config = str(root / "configs/inference.json")
    workflow = ConfigWorkflow(config, workflow_type="infer", logging_file=False, bundle_root=str(root), **given)
    try:
        workflow.initialize()
        workflow.run()
    except Exception as error:
        own = own_error(error)
        if own is None:
            raise
        return own
    return None


def quality(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of quality.csv by case."""
    with (folder / "quality.csv").open(newline="", encoding="utf-8") as handle:
        return {row["case_id"]: row for row in csv.DictReader(handle)}


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Of two bool arrays."""
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def visible(folder: Path) -> list[str]:
    """Names in a folder but for hidden ones, such as the lock of a prediction, and for the names of the labels."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".") and path.name != "labels.txt")
