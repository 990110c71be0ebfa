"""A folder of models as the package has one: tiny networks of random weights, with the files about them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch

from monai_hybrid.catalogue.folder import SUMS, digest
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import write_safetensors

NETWORK = {
    "channels": [8, 16],
    "num_res_blocks": [1, 1],
    "attention_levels": [False, False],
    "norm_num_groups": 8,
    "num_head_channels": 16,
}
ABOUT: dict[str, Any] = {
    "format_version": 1,
    "name": "discs_mr",
    "title": "Bright discs",
    "universal": False,
    "use": "For bright discs on dark ground.",
    "licence": {"weights": "CC BY-SA 4.0", "attribution": "Name the people who drew the discs."},
    "data": [{"name": "Discs", "source": "drawn by hand.", "licence": "CC BY-SA 4.0", "citation": "Disc et al. 2020."}],
    "training": {"command": "monai-hybrid pretrain --data discs --output runs/discs", "seed": 0, "commit": "5aa5fec"},
    "storage": {"dtype": "float16", "voxels_compared": 1000, "voxels_differing": 0},
    "scores": {
        "source_test": {"patients": 12, "dice": {"disc": {"mean": 0.9, "interval": [0.88, 0.92]}}},
        "adapted": [
            {
                "target": "Squares",
                "command": "monai-hybrid adapt --data squares --model discs_mr",
                "shots": [{"labels": 3, "score": {"patients": 5, "dice": {"square": {"mean": 0.5, "interval": None}}}}],
            }
        ],
    },
    "known_failures": ["Dark discs are not found."],
    "citation": ["Disc et al. 2020."],
}


def about(name: str = "discs_mr", **more: Any) -> dict[str, Any]:
    """The content of a file about a model."""
    return {**copy.deepcopy(ABOUT), "name": name, "universal": name.startswith("universal"), **more}


def card_of(dims: int, classes: list[str], universal: bool = False, spacing: float = 1.0) -> dict[str, Any]:
    """A card that rebuilds the tiny network."""
    names = ["background", *classes]
    return {
        "format_version": 1,
        "network": {**NETWORK, "spatial_dims": dims, "in_channels": 1, "num_classes": len(names)},
        "spatial_dims": dims,
        "channels": ["image"],
        "modality": "MRI",
        "labels": [{"index": i, "value": i, "name": name} for i, name in enumerate(names)],
        "plan": {
            "normalization": {"method": "percentiles", "lower": 0.5, "upper": 99.5, "range": [-1, 1]},
            **({"universal": True} if universal else {}),
        },
        "training": {
            "objective": "hybrid",
            "prediction_type": "v",
            "noise_schedule": "cosine",
            "num_timesteps": 1000,
            "patch_size": [16] * dims,
            "spacing": [spacing] * dims,
        },
    }


def add(folder: Path, name: str, card: dict[str, Any], told: dict[str, Any] | None = None) -> Path:
    """Put a model into a folder, and its checksum into the list."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    file = folder / f"{name}.safetensors"
    write_safetensors(HybridDiffusionUNet(**card["network"]).state_dict(), file, card, torch.float16)
    (folder / f"{name}.json").write_text(json.dumps(told or about(name)))
    with (folder / SUMS).open("a") as sums:
        sums.write(f"{digest(file)}  {file.name}\n")
    return file


def three(folder: Path) -> Path:
    """Both universal models, and one of discs in pictures."""
    add(folder, "discs_mr", card_of(2, ["disc"]))
    add(folder, "universal_2d", card_of(2, ["blob", "tube"], universal=True))
    add(folder, "universal_3d", card_of(3, ["blob", "tube"], universal=True))
    return folder
