"""The teacher: a model that segments what its student is shown, and how the student's card names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data_prep.free_names import ADAPTED, free
from data_prep.quoting import quoted
from monai_hybrid.bundle.data import PreparedData
from monai_hybrid.bundle.device_defaults import validation_network
from monai_hybrid.bundle.model import find_card, network_of
from monai_hybrid.errors import ConfigError, ModelFileError
from monai_hybrid.networks.transfer.names import unified
from monai_hybrid.weights import checksum, load_weights, with_pretrained


class Teacher(nn.Module):
    """(B, C, X, Y[, Z]) image in [-1, 1] -> (B, K, X, Y[, Z]) probabilities, float32, without gradients.

    Args:
        path: model file with a card.
        device: where it computes.
        mixed_precision: in bfloat16 where the device computes in it.

    Raises:
        ModelFileError: the file is missing or damaged, or its weights are of another network than its card says.
    """

    def __init__(self, path: str, device: str | torch.device = "cpu", mixed_precision: bool = False) -> None:
        super().__init__()
        network = with_pretrained(network_of(card_of(path)), path).to(device).eval()
        self.segmenter = validation_network(network.requires_grad_(False), mixed_precision)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """The probabilities of a batch of patches."""
        logits: Tensor = self.segmenter(x)
        return logits.float().softmax(1)


def card_of(path: str) -> dict[str, Any]:
    """The complete card of a model file.

    Raises:
        ModelFileError: no such file, no card, or one that says too little.
    """
    if not Path(path).is_file():
        raise ModelFileError(f"{path}: no such model file")
    return find_card(path)


def check_fits(path: str, card: Mapping[str, Any], data: PreparedData) -> None:
    """Refuse a teacher of other labels or channels than the data: the student learns from both.

    Raises:
        ConfigError: with what differs, and what to type.
    """
    if card["spatial_dims"] != data.plan["spatial_dims"]:
        raise ConfigError(
            f"--teacher {path}: a {card['spatial_dims']}D model, but {data.folder} is {data.plan['spatial_dims']}D; "
            "give data of the model's dimensions"
        )
    theirs = [label["name"] for label in card["labels"]]
    ours = [label["name"] for label in data.dataset["labels"]]
    _compare(path, "labels", theirs, ours, data)
    _compare(path, "channels", card["channels"], data.dataset["channels"], data)
    if (card.get("colour") or None) != (data.dataset.get("colour") or None):
        _differ(path, "colours", card.get("colour"), data.dataset.get("colour"), data)


def _compare(path: str, what: str, theirs: list[str], ours: list[str], data: PreparedData) -> None:
    alone = what == "channels" and len(theirs) == len(ours) == 1  # one channel is called as one likes
    if not alone and [unified(name) for name in theirs] != [unified(name) for name in ours]:
        _differ(path, what, theirs, ours, data)


def _differ(path: str, what: str, theirs: Any, ours: Any, data: PreparedData) -> None:
    raise ConfigError(
        f"--teacher {path}: it knows the {what} {theirs}, but {data.folder} has {ours}. Adapt it to these data first: "
        f"monai-hybrid adapt --data {quoted(data.folder)} --model {quoted(path)} --output {free(ADAPTED)}"
    )


def named_teacher(path: str) -> dict[str, str]:
    """What a student's card says of its teacher: the file, and the SHA-256 of its weights, in whichever format they lie."""
    return {"model": str(path), "sha256": checksum(load_weights(path))}
