"""From a model file to what a bundle needs to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from monai_hybrid.catalogue.naming import model_file
from monai_hybrid.errors import ModelFileError
from monai_hybrid.model_card import check_complete
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import read_card

SUFFIXES = (".pt", ".safetensors")


def find_card(model: str) -> dict[str, Any]:
    """The card of a model file; before anything was trained, that of the built-in phantom.

    With the default card a fresh bundle can be inspected, exported and checked; running it asks for the model file.

    Raises:
        ModelFileError: the model file is there, but no card, or one that says too little to rebuild the network.
    """
    card = read_card(model)
    if card is not None:
        check_complete(model, card)
        return card
    if Path(model).is_file():
        if Path(model).suffix not in SUFFIXES:
            raise ModelFileError(f"{model}: no model file; expected .pt or .safetensors, or the folder of a run")
        raise ModelFileError(
            f"{model}: no card found; keep model.safetensors (weights and card) beside model.pt, as training writes them"
        )
    default: dict[str, Any] = json.loads(files("monai_hybrid.bundle").joinpath("default_card.json").read_text(encoding="utf-8"))
    return default


def start_file(pretrained: str | None) -> str | None:
    """The model file that a training starts from, by its own name, a run's folder or a name of the package; None for none.

    Raises:
        ModelFileError: a folder without a model.
    """
    return model_file(pretrained) if pretrained else None


def network_of(card: Mapping[str, Any]) -> HybridDiffusionUNet:
    """The network that a card describes, its weights still to be loaded. A card that names no stem means the plain one."""
    names = ("channels", "num_res_blocks", "attention_levels", "norm_num_groups", "num_head_channels")
    return HybridDiffusionUNet(
        spatial_dims=card["spatial_dims"],
        in_channels=len(card["channels"]),
        num_classes=len(card["labels"]),
        stem=card["network"].get("stem", "plain"),
        refinement=card["network"].get("refinement", 0),
        num_domains=card["network"].get("num_domains", 0),
        **{name: card["network"][name] for name in names},
    )
