"""Whether a training computes in mixed precision when nobody says, and what its validation runs."""

from __future__ import annotations

import torch
from torch import nn

from monai_hybrid.networks import HybridDiffusionUNet, fastest_dtype, folded


def mixed_precision_pays(device: torch.device) -> bool:
    """True with CUDA, and on a processor that computes in bfloat16 (AVX-512 BF16, AMX); elsewhere bfloat16 is slower."""
    return device.type == "cuda" or fastest_dtype(device) == torch.bfloat16


def validation_network(network: nn.Module, mixed_precision: bool) -> nn.Module:
    """The folded segmenter of a network that is still trained (it folds anew when weights have changed); others as they are."""
    if not isinstance(network, HybridDiffusionUNet):
        return network
    return folded(network, "auto" if mixed_precision else "float32")
