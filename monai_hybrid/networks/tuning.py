"""Which weights a fine-tuning changes, and how fast."""

from __future__ import annotations

from typing import Any

from torch import nn

from monai_hybrid.errors import ConfigError
from monai_hybrid.networks.hybrid_unet import HybridDiffusionUNet

TRAINABLE = ("all", "decoder", "head")
# From the input to the output: the further from the mask, the smaller the learning rate.
STAGES = (("conv_in", "time_embed"), ("down_blocks",), ("middle_block",), ("up_blocks",), ("out",))


def parameter_groups(
    network: nn.Module, trainable: str = "all", learning_rate: float = 1e-3, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Optimizer groups; everything else is frozen.

    Args:
        network: a HybridDiffusionUNet, or one wrapped by DistributedDataParallel.
        trainable: "all"; "decoder" (up blocks and head); "head" (norm and convolutions of the last layer).
        learning_rate: of the head.
        layer_decay: factor on the learning rate a stage further from the output (head, decoder, middle, encoder, input).

    Raises:
        ConfigError: unknown choice, or a factor outside (0, 1].
    """
    if trainable not in TRAINABLE:
        raise ConfigError(f"trainable: got {trainable!r}, expected one of {', '.join(TRAINABLE)}")
    if not 0 < layer_decay <= 1:
        raise ConfigError(f"layer_decay: got {layer_decay}, expected a factor above 0 and at most 1")
    body = network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network
    assert isinstance(body, HybridDiffusionUNet)
    kept = {"all": STAGES, "decoder": STAGES[3:], "head": STAGES[4:]}[trainable]
    groups = []
    for distance, names in enumerate(reversed(STAGES)):
        parameters = [p for name in names for p in body.get_submodule(name).parameters()]
        for parameter in parameters:
            parameter.requires_grad_(names in kept)
        if names in kept:
            groups.append({"params": parameters, "lr": learning_rate * layer_decay**distance})
    return groups
