"""What a training takes when nobody says: mixed precision, loaders, the network of its validation. And torch.compile."""

from __future__ import annotations

import os

import torch
from torch import nn

from monai_hybrid.networks import HybridDiffusionUNet, as_domain, fastest_dtype, folded

# Fine-tuning augments intensities a sample at a time: dozens of ms at 96^3. Pretraining needs one (notes/speed.md).
MOST_LOADERS = 6


def mixed_precision_pays(device: str | torch.device) -> bool:
    """True with CUDA, and on a processor that computes in bfloat16 (AVX-512 BF16, AMX); elsewhere bfloat16 is slower."""
    device = torch.device(device)  # --device gives a string
    return device.type == "cuda" or fastest_dtype(device) == torch.bfloat16


def loader_processes(device: str | torch.device) -> int:
    """Loader processes of one training process: none on a processor, which needs its cores itself; with CUDA up to six.

    With several training processes on a machine (torchrun's LOCAL_WORLD_SIZE) they share the cores this process may use.
    """
    if torch.device(device).type != "cuda":
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_LOADERS, max(0, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))


def compile_network(network: nn.Module, wanted: bool) -> None:
    """torch.compile for the shapes of this training, in place: the names of the weights, and copies, stay as they are.

    For any size it would fail: PyTorch 2.13 cannot lower convolutions of unknown sizes (pytorch/pytorch#188422).
    """
    if wanted:
        network.compile(dynamic=False)


def validation_network(network: nn.Module, mixed_precision: bool, domain: int | None = None) -> nn.Module:
    """The folded segmenter of a network that is still trained (it folds anew when weights have changed); others as they are.

    `domain` is that of the scans that are scored; None: the one that the network takes when nobody says.
    """
    if not isinstance(network, HybridDiffusionUNet):
        return network
    seen = network if domain is None else as_domain(network, domain)
    return folded(seen, "auto" if mixed_precision else "float32")
