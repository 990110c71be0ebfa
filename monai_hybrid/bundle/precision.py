"""Whether a training computes in mixed precision when nobody says."""

from __future__ import annotations

import torch

from monai_hybrid.networks.folding import fastest_dtype


def mixed_precision_pays(device: torch.device) -> bool:
    """True with CUDA, and on a processor that computes in bfloat16 (AVX-512 BF16, AMX); elsewhere bfloat16 is slower."""
    return device.type == "cuda" or fastest_dtype(device) == torch.bfloat16
