"""What a fine-tuning of a study starts from: the model file of an arm, and the network that its weights are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.label_efficiency.study import ROOT, Arm
from monai_hybrid.errors import ConfigError
from monai_hybrid.few_shot.starting_point import StartingPoint
from monai_hybrid.weights import read_card

READY = ROOT / "monai_hybrid/models"  # the models of the package


def given_model(arm: Arm, network: Mapping[str, Any]) -> Path:
    """The model file of an arm that brings one.

    Raises:
        ConfigError: no such file, or its network has another shape than the study's.
    """
    ready = READY / f"{arm.model}.safetensors"
    path = ready if ready.is_file() else Path(arm.model)
    if not path.is_file():
        raise ConfigError(f"arm {arm.name}: model: {path}: no such file, and no ready model of this name")
    own = read_card(path)["network"]
    free = ("in_channels", "num_classes")
    other = [k for k in network if k not in free and own.get(k, network[k]) != network[k]]
    if other:
        seen = ", ".join(f"{k} {own[k]}, the study's {network[k]}" for k in other)
        raise ConfigError(f"arm {arm.name}: model: {path}: its network has {seen}; change `network` of the study")
    return path


def start_from(path: Path | None, origin: StartingPoint) -> StartingPoint:
    """The start of a fine-tuning: a model file, and the study's network with the domains that the file's has."""
    if path is None or path.suffix != ".safetensors":  # from scratch, or nnU-Net's network
        return replace(origin, path=None if path is None else str(path))
    domains = (read_card(path) or {}).get("network", {}).get("num_domains", 0)
    network = {**origin.network, "num_domains": domains} if domains else origin.network
    return replace(origin, path=str(path), network=network)
