"""The mean over small noise levels."""

from __future__ import annotations

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor

from monai_hybrid.diffusion.noising import NoiseSchedule, add_noise
from monai_hybrid.errors import ConfigError
from monai_hybrid.inferers import SmallTAverage
from monai_hybrid.networks import HybridDiffusionUNet

SCHEDULE = NoiseSchedule(1000, "cosine")


def network(dims: int = 2) -> HybridDiffusionUNet:
    torch.manual_seed(0)
    net = HybridDiffusionUNet(dims, 1, 3, channels=(8, 16))
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return net.eval()


def image(batch: int = 2, dims: int = 2) -> Tensor:
    return torch.rand(batch, 1, *[8] * dims, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("dims", [2, 3])
def test_at_zero_alone_it_is_the_network(dims: int) -> None:
    net, x = network(dims), image(dims=dims)
    with torch.no_grad():
        # The average is float32: its own passes differ by rounding, which grows through the layers.
        assert torch.allclose(SmallTAverage(net, SCHEDULE, (0,))(x).softmax(1), net(x).softmax(1), atol=1e-5)
        assert torch.equal(SmallTAverage(net, SCHEDULE, (0,))(x).argmax(1), net(x).argmax(1))


@torch.no_grad()
def test_it_is_the_mean_of_the_probabilities() -> None:
    net, x = network(), image()
    generator = torch.Generator().manual_seed(7)
    drawn = [torch.randn(x.shape[1:], generator=generator).expand_as(x) for _ in range(2)]
    t = torch.full((2,), 300)
    noisy = torch.stack([net(add_noise(x, epsilon, t, SCHEDULE), t).softmax(1) for epsilon in drawn]).mean(0)
    expected = (net(x).softmax(1) + noisy) / 2
    result = SmallTAverage(net, SCHEDULE, (0, 300), draws=2, seed=7)(x)
    assert torch.allclose(result.exp(), expected, atol=1e-6)
    assert torch.allclose(result.exp().sum(1), torch.ones(2, 8, 8), atol=1e-5)
    assert not torch.allclose(expected, net(x).softmax(1), atol=1e-3)


@torch.no_grad()
def test_each_call_is_the_same_whatever_the_batch_and_the_global_seed() -> None:
    average, x = SmallTAverage(network(), SCHEDULE, (0, 50, 200), draws=2), image(3)
    torch.manual_seed(1)
    first = average(x)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(average(x), first)
    assert torch.equal(torch.get_rng_state(), state), "the global generator is left alone"
    assert torch.allclose(average(x[1:2]), first[1:2], atol=1e-5)
    other = SmallTAverage(network(), SCHEDULE, (0, 50, 200), draws=2, seed=1)(x)
    assert not torch.allclose(other, first, atol=1e-4)


@torch.no_grad()
def test_a_sliding_window_takes_it_for_the_network() -> None:
    inferer, x = SlidingWindowInferer((8, 8), 3, 0.5), torch.rand(1, 1, 12, 16)
    result = inferer(x, SmallTAverage(network(), SCHEDULE, (0, 20)))
    assert result.shape == (1, 3, 12, 16) and bool(torch.isfinite(result).all())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timesteps": (10, 20)}, "expected 0 and other levels up to 1000, each once"),
        ({"timesteps": (0, 1001)}, "expected 0 and other levels"),
        ({"timesteps": (0, -1)}, "expected 0 and other levels"),
        ({"timesteps": (0, 10, 10)}, "each once"),
        ({"draws": 0}, "draws: got 0, expected at least 1"),
    ],
)
def test_what_has_no_meaning_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SmallTAverage(network(), SCHEDULE, **settings)
    assert SmallTAverage(network(), SCHEDULE, timesteps=(0, 1000), draws=1)
