"""The choice of what is run on a window."""

from __future__ import annotations

import pytest
import torch
from test_small_t import SCHEDULE, image, network

from monai_hybrid.errors import ConfigError
from monai_hybrid.inferers import SmallTAverage, segmenter
from monai_hybrid.networks import FoldedSegmenter

CARD = {"training": {"num_timesteps": 1000, "noise_schedule": "cosine"}}


@torch.no_grad()
def test_zero_alone_is_the_folded_network_and_more_levels_the_average() -> None:
    net, x = network(), image()
    alone = segmenter(net)
    assert isinstance(alone, FoldedSegmenter)
    assert torch.allclose(alone(x), net(x), atol=1e-5)
    several = segmenter(net, timesteps=[0, 40], card=CARD)
    assert torch.equal(several(x), SmallTAverage(net, SCHEDULE, (0, 40))(x))
    assert not torch.allclose(several(x).softmax(1), alone(x).softmax(1), atol=1e-3)


@torch.no_grad()
def test_half_precision_is_near_and_not_equal() -> None:
    net, x = network(), image()
    for levels in ([0], [0, 40]):
        exact, half = (segmenter(net, precision, levels, CARD)(x).softmax(1) for precision in ("float32", "bfloat16"))
        assert 0 < (exact - half).abs().max() < 0.1


def test_an_unknown_precision_is_refused() -> None:
    for levels in ([0], [0, 40]):
        with pytest.raises(ConfigError, match="'half', expected one of auto, float32, bfloat16"):
            segmenter(network(), "half", levels)


@torch.no_grad()
def test_another_network_is_run_as_it_is() -> None:
    other, x = torch.nn.Conv2d(1, 3, 3, padding=1), image()
    assert torch.equal(segmenter(other)(x), other(x))
    half = segmenter(other, "bfloat16")(x)
    assert half.dtype == torch.bfloat16 and torch.allclose(half.float(), other(x), atol=0.02)
