"""Mixed precision on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from monai_hybrid.inferers import AutocastInferer
from monai_hybrid.inferers.autocast import fatal_grid


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


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((8, 16, 16), torch.float32), ((4, 8, 8), torch.float32), ((16, 8, 8), torch.bfloat16), ((12, 8, 8), torch.bfloat16)],
)
def test_a_grid_whose_gradients_bfloat16_would_spoil_is_trained_in_float32(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Two voxels along the first axis at the deepest of three levels; without gradients nothing is spoilt."""
    network = nn.Conv3d(1, 2, 3, padding=1)
    network.size_divisor = 4
    inputs = torch.randn(1, 1, *shape)
    assert AutocastInferer(True)(inputs, network).dtype == dtype
    with torch.no_grad():
        assert AutocastInferer(True)(inputs, network).dtype == torch.bfloat16


@pytest.mark.parametrize("x", [8, 16])
def test_gradients_of_a_training_step_are_those_of_float32(x: int) -> None:
    """Eight seeds, because what is read there is what the memory happens to hold."""
    from monai_hybrid.networks import HybridDiffusionUNet

    for seed in range(8):
        torch.manual_seed(seed)
        network = HybridDiffusionUNet(3, 1, 2, (16, 32, 64), (1, 1, 1), norm_num_groups=8)
        inputs, timesteps = torch.randn(2, 1, x, 8, 8), torch.tensor([0, 500])
        norms = []
        for enabled in (False, True):
            network.zero_grad()
            AutocastInferer(enabled)(inputs, network, timesteps=timesteps).float().square().mean().backward()
            norms.append(float(torch.nn.utils.get_total_norm([p.grad for p in network.parameters()])))
        assert norms[1] == pytest.approx(norms[0], rel=0.1)


class Halving(nn.Module):
    """A network of somebody else's: three levels, no `size_divisor`, with dropout and a running mean."""

    def __init__(self, by_value: bool = False) -> None:
        super().__init__()
        layers = [nn.Conv3d(1, 2, 3, padding=1), nn.MaxPool3d(2), nn.Conv3d(2, 2, 3, padding=1), nn.MaxPool3d(2)]
        self.body = nn.Sequential(*layers, nn.BatchNorm3d(2), nn.Dropout(0.5), nn.Conv3d(2, 2, 3, padding=1))
        self.by_value = by_value

    def forward(self, x: torch.Tensor, timesteps: torch.Tensor, return_noise: bool = False) -> torch.Tensor:
        if self.by_value and float(x.sum()) > 1e9:
            return x
        return self.body(x)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((8, 16, 16), torch.float32), ((4, 8, 8), torch.float32), ((16, 8, 8), torch.bfloat16), ((12, 8, 8), torch.bfloat16)],
)
def test_the_convolutions_of_another_network_are_asked(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """As MONAI's UNet, which broke down so; asking draws no random number, and leaves the running mean as it is."""
    network, inputs, t = Halving(), torch.randn(2, 1, *shape), torch.tensor([0, 0])
    before, state = network.body[4].running_mean.clone(), torch.get_rng_state()
    assert fatal_grid(inputs, network, timesteps=t, return_noise=True) == (dtype == torch.float32)
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(network.body[4].running_mean, before)
    assert not network.body[0]._forward_hooks and network.body[0].weight.device.type == "cpu"
    assert AutocastInferer(True)(inputs, network, timesteps=t, return_noise=True).dtype == dtype
    blind = Halving(by_value=True)
    assert AutocastInferer(True)(inputs, blind, timesteps=t).dtype == torch.bfloat16, "of which nothing is known"


def test_gradients_of_the_unet_of_monai_are_those_of_float32() -> None:
    from monai.networks.nets import UNet

    for seed in range(4):
        torch.manual_seed(seed)
        network = UNet(3, 1, 3, channels=(8, 16, 32), strides=(2, 2), num_res_units=2)
        inputs, norms = torch.randn(2, 1, 8, 8, 8), []
        for enabled in (False, True):
            network.zero_grad()
            AutocastInferer(enabled)(inputs, network).float().square().mean().backward()
            norms.append(float(torch.nn.utils.get_total_norm([p.grad for p in network.parameters()])))
        assert norms[1] == pytest.approx(norms[0], rel=0.1)
