"""Which weights a fine-tuning changes, and how fast."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from torch import nn

from monai_hybrid.errors import ConfigError
from monai_hybrid.few_shot.low_rank import add_low_rank
from monai_hybrid.networks.hybrid_unet import HybridDiffusionUNet

TRAINABLE = ("all", "decoder", "head", "low_rank", "norm")
# From the input to the output: the further from the mask, the smaller the learning rate.
END = 0.01  # of a learning rate is left at the end of a training
STAGES = (("conv_in", "time_embed", "class_embedding"), ("down_blocks",), ("middle_block",), ("up_blocks",), ("out",))
logger = logging.getLogger("monai_hybrid.adaptation")


def make_trainable(network: nn.Module, trainable: str = "all", rank: int = 8) -> nn.Module:
    """Freeze all weights but the chosen ones, in place, and log how many are left.

    To be done before an EMA copy or a DistributedDataParallel is made of the network: both take it as it is then.

    Args:
        network: a HybridDiffusionUNet with its pretrained weights.
        trainable: "all"; "decoder" (up blocks and head); "head" (norm and convolutions of the last layer); "low_rank" (the
            head, and an update of rank `rank` for each convolution and linear layer before it, see `LowRankUpdate`); "norm"
            (scale and shift of each normalisation).
        rank: of the updates.

    Returns:
        The network.

    Raises:
        ConfigError: unknown choice, or a rank below 1.
    """
    if trainable not in TRAINABLE:
        raise ConfigError(f"trainable: got {trainable!r}, expected one of {', '.join(TRAINABLE)}")
    if rank < 1:
        raise ConfigError(f"low_rank: got {rank}, expected a rank of at least 1, such as 8")
    total = sum(p.numel() for p in network.parameters())
    kept = {"all": STAGES, "decoder": STAGES[3:], "head": STAGES[4:], "low_rank": STAGES[4:], "norm": ()}[trainable]
    for names in STAGES:
        for part in _parts(network, names):
            if trainable == "low_rank" and names not in kept:
                add_low_rank(part, rank)
            else:
                part.requires_grad_(names in kept)
    if trainable == "norm":
        for layer in network.modules():
            if isinstance(layer, nn.GroupNorm):
                layer.requires_grad_(True)
    trained = trained_weights(network)
    logger.info("training %s: %s weights (the model has %s)", trainable, f"{trained:,}", f"{total:,}")
    return network


def trained_weights(network: nn.Module) -> int:
    """Number of weights that the optimizer changes."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def parameter_groups(network: nn.Module, learning_rate: float = 1e-3, layer_decay: float = 1.0) -> list[dict[str, Any]]:
    """Optimizer groups of the weights that are not frozen, one a stage, from the head to the input.

    Args:
        network: a HybridDiffusionUNet, or one wrapped by DistributedDataParallel.
        learning_rate: of the head.
        layer_decay: factor on the learning rate a stage further from the output (head, decoder, middle, encoder, input).

    Raises:
        ConfigError: a factor outside (0, 1].
    """
    if not 0 < layer_decay <= 1:
        raise ConfigError(f"layer_decay: got {layer_decay}, expected a factor above 0 and at most 1")
    body = network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network
    assert isinstance(body, HybridDiffusionUNet)
    groups = []
    for distance, names in enumerate(reversed(STAGES)):
        parameters = [p for part in _parts(body, names) for p in part.parameters() if p.requires_grad]
        if parameters:
            groups.append({"params": parameters, "lr": learning_rate * layer_decay**distance})
    return groups


def _parts(network: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """The modules of a stage; a network without domains has no `class_embedding`."""
    return [part for name, part in network.named_children() if name in names]


def last_rate(learning_rate: float, layer_decay: float = 1.0) -> float:
    """The learning rate below which no group of `parameter_groups` falls: a hundredth of that of the input.

    MONAI's schedule has one such number for all groups. A hundredth of the head's may be more than others shall ever have.
    """
    return float(END * learning_rate * layer_decay ** (len(STAGES) - 1))
