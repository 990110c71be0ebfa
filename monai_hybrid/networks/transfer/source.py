"""The model file that a transfer starts from: its tensors, and what its card says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monai_hybrid.errors import ModelFileError
from monai_hybrid.networks.refinement import Refinement
from monai_hybrid.shape_models import is_of_shapes
from monai_hybrid.weights import load_weights, read_card

INPUT = "conv_in.conv.weight"
IMAGE_ROWS = ("out.2.conv.weight", "out.2.conv.bias")
MASK_ROWS = ("out.mask.conv.weight", "out.mask.conv.bias")
REFINED_ROWS = (
    "out.refine.rows.conv.weight",
    "out.refine.rows.conv.bias",
)  # of a refinement; they start at zero
REFINED_INPUT = "out.refine.image.conv.weight"
DOMAINS, TIME_BIAS = "class_embedding.weight", "time_embed.2.bias"  # the one is added to what the other is added to
PLAN_KEYS = ("channels", "num_res_blocks", "attention_levels", "norm_num_groups", "num_head_channels", "stem", "refinement")


@dataclass(frozen=True)
class Source:
    """A model file.

    Attributes:
        path: the file.
        tensors: its state dict.
        num_labels: K, rows of the mask head; 0 when there is none (a stock DiffusionModelUNet).
        num_channels: C, image channels.
        labels, channels: their names by position; None without a card.
        network: the settings of the network that made it, {} without a card.
        of_shapes: its classes are random shapes, so their names mean nothing.
    """

    path: str
    tensors: Mapping[str, Tensor]
    num_labels: int
    num_channels: int
    labels: list[str] | None
    channels: list[str] | None
    network: Mapping[str, Any]
    of_shapes: bool = False

    def label(self, row: int) -> str:
        """Name of a label, or of its row."""
        return f"label {row}" if self.labels is None else self.labels[row]

    def channel(self, position: int) -> str:
        """Name of an image channel, or its number."""
        return f"channel {position}" if self.channels is None else self.channels[position]

    def cast(self, name: str, dtype: torch.dtype) -> Tensor:
        """The tensor in the network's floating type.

        Raises:
            ModelFileError: it holds integers (quantised weights), NaN or infinity.
        """
        tensor = self.tensors[name]
        if not tensor.is_floating_point():
            raise ModelFileError(f"{self.path}: {name} is of type {tensor.dtype}, expected floating-point weights")
        tensor = tensor.to(dtype)
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise ModelFileError(
                f"{self.path}: {name} holds NaN or infinity ({bad} of {tensor.numel()} values as {dtype}), expected finite "
                "weights; choose a model file from before the training went wrong"
            )
        return tensor

    def without_domains(self) -> Source:
        """The same function of the target's scans, the last domain, for a network without domains; others as they are.

        Raises:
            ModelFileError: as `cast`.
        """
        if not self.network.get("num_domains") or not {DOMAINS, TIME_BIAS} <= set(self.tensors):
            return self
        bias, rows = (self.cast(name, torch.float32) for name in (TIME_BIAS, DOMAINS))
        if rows.ndim != 2 or not len(rows) or rows[-1].shape != bias.shape:
            return self
        kept = {name: tensor for name, tensor in self.tensors.items() if name != DOMAINS}
        return replace(self, tensors={**kept, TIME_BIAS: bias + rows[-1]})

    def hidden_differences(self, network: nn.Module) -> list[str]:
        """Settings that change what the same weights compute, but no tensor's shape."""
        own = {
            "norm_num_groups": next((m.num_groups for m in network.modules() if isinstance(m, nn.GroupNorm)), None),
            "num_head_channels": next((m.dim_head for m in network.modules() if hasattr(m, "dim_head")), None),
            "refinement": next((m.width for m in network.modules() if isinstance(m, Refinement)), 0),
        }
        told = []
        for setting, value in own.items():
            other = self.network.get(setting, value)
            other = other[-1] if isinstance(other, list) else other
            if other != value:
                told.append(
                    f"{setting} was {other}, here it is {value}: the same weights compute something else; see plan.json"
                )
        return told


def read_source(path: Path | str) -> Source:
    """Read weights and card.

    Raises:
        ModelFileError: a missing or damaged file, or a card that does not describe these weights.
    """
    tensors, card = load_weights(path), read_card(path) or {}
    labels, channels = _label_names(path, card), _channel_names(path, card)
    mask, first = tensors.get(MASK_ROWS[0]), tensors.get(INPUT)
    num_labels = len(mask) if mask is not None and mask.ndim else 0
    num_channels = first.shape[1] if first is not None and first.ndim > 1 else len(channels or [""])
    for what, names, number in (("labels", labels, num_labels), ("channels", channels, num_channels)):
        if names is not None and number and len(names) != number:
            raise ModelFileError(
                f"{path}: its card names {len(names)} {what}, the weights have {number}: card and weights are not of one "
                "model; copy model.pt and model.safetensors together"
            )
    return Source(str(path), tensors, num_labels, num_channels, labels, channels, card.get("network") or {}, is_of_shapes(card))


def _label_names(path: Path | str, card: Mapping[str, Any]) -> list[str] | None:
    if "labels" not in card:
        return None
    try:
        names = {int(label["index"]): str(label["name"]) for label in card["labels"]}
        ordered = [names[i] for i in range(len(card["labels"]))]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: the labels of its card are {card['labels']!r}, expected a list of index (0, 1, ...) and name; "
            "copy the file again from its source"
        ) from error
    return ordered


def _channel_names(path: Path | str, card: Mapping[str, Any]) -> list[str] | None:
    names = card.get("channels")
    if names is not None and not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise ModelFileError(
            f"{path}: the channels of its card are {names!r}, expected names; copy the file again from its source"
        )
    return names
