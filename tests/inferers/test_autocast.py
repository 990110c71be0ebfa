"""Mixed precision on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from monai_hybrid.inferers import AutocastInferer


@pytest.mark.parametrize(("enabled", "dtype"), [(False, torch.float32), (True, torch.bfloat16)])
def test_autocast_only_when_enabled(enabled: bool, dtype: torch.dtype) -> None:
    network = nn.Conv2d(1, 2, 3, padding=1)
    x = torch.randn(1, 1, 4, 4)
    output = AutocastInferer(enabled)(x, network)
    assert output.dtype == dtype and network.weight.dtype == torch.float32
    assert torch.allclose(output.float(), network(x), atol=0.05)
    output.float().sum().backward()
    assert network.weight.grad.dtype == torch.float32


def test_arguments_reach_the_network() -> None:
    seen = {}

    def network(x: torch.Tensor, timesteps: torch.Tensor, return_noise: bool) -> torch.Tensor:
        seen.update(timesteps=timesteps, return_noise=return_noise)
        return x

    timesteps = torch.tensor([3])
    AutocastInferer()(torch.zeros(1, 1, 4), network, timesteps=timesteps, return_noise=True)
    assert seen["timesteps"] is timesteps and seen["return_noise"] is True
