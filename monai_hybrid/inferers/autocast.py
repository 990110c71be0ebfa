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
        """Call `network(inputs, ...)`; float32 weights stay float32."""
        if self.enabled:
            warn_of_slow_bfloat16(inputs.device, "--amp False")
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.enabled):
            return super().__call__(inputs, network, *args, **kwargs)
