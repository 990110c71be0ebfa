"""Mixed precision on the CPU, which MONAI's `amp` (CUDA only) leaves in float32."""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import SimpleInferer
from torch import Tensor, nn

from monai_hybrid.networks.number_types import warn_of_slow_bfloat16


class AutocastInferer(SimpleInferer):
    """`SimpleInferer` under bfloat16 autocast when `enabled`; warns once where the processor has no instructions for it."""

    def __init__(self, enabled: bool = False) -> None:
        super().__init__()
        self.enabled = enabled

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Call `network(inputs, ...)`; float32 weights stay float32. A training step of a `fatal_grid` is all in float32."""
        if self.enabled:
            warn_of_slow_bfloat16(inputs.device, "--amp False")
        safe = not (torch.is_grad_enabled() and fatal_grid(inputs, network))
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.enabled and safe):
            return super().__call__(inputs, network, *args, **kwargs)


def fatal_grid(inputs: Tensor, network: nn.Module) -> bool:
    """Whether bfloat16 would give garbage for gradients: some level has exactly 2 voxels along the first of three axes.

    There PyTorch 2.13 reads memory that nobody has written, in the weights' gradient of a 3D convolution of kernel 3 on a
    processor (`test_autocast.py` shows it); a clipped norm of 1e25 then hides it as no gradient at all.

    Args:
        inputs: (B, C, X, Y[, Z]).
        network: with a `size_divisor`, by which its levels halve; of another network nothing is known, and it is let through.
    """
    divisor = getattr(getattr(network, "module", network), "size_divisor", 1)
    if inputs.ndim != 5 or inputs.device.type != "cpu":
        return False
    return any(inputs.shape[2] == 2 << level for level in range(int(divisor).bit_length()))
