"""Which weights move, and how fast."""

from __future__ import annotations

import pytest
import torch

from monai_hybrid.errors import ConfigError
from monai_hybrid.networks import HybridDiffusionUNet, parameter_groups


def network() -> HybridDiffusionUNet:
    return HybridDiffusionUNet(2, 1, 2, channels=(8, 16))


@pytest.mark.parametrize(
    ("trainable", "moving"),
    [
        ("all", {"conv_in", "time_embed", "down_blocks", "middle_block", "up_blocks", "out"}),
        ("decoder", {"up_blocks", "out"}),
        ("head", {"out"}),
    ],
)
def test_only_the_chosen_part_changes(trainable: str, moving: set[str]) -> None:
    net = network()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = torch.optim.SGD(parameter_groups(net, trainable, 0.1), lr=0.1)
    net(torch.randn(2, 1, 8, 8), return_noise=True).square().mean().backward()
    net(torch.randn(2, 1, 8, 8)).square().mean().backward()
    optimizer.step()
    changed = {name.split(".")[0] for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert changed <= moving and "out" in changed
    assert {n.split(".")[0] for n, p in net.named_parameters() if p.requires_grad} == moving


def test_every_parameter_is_in_exactly_one_group() -> None:
    net = network()
    grouped = [p for group in parameter_groups(net) for p in group["params"]]
    assert len(grouped) == len(set(map(id, grouped))) == len(list(net.parameters()))


def test_the_learning_rate_falls_with_the_distance_from_the_output() -> None:
    rates = [group["lr"] for group in parameter_groups(network(), learning_rate=1.0, layer_decay=0.5)]
    assert rates == [1.0, 0.5, 0.25, 0.125, 0.0625]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"trainable": "encoder"}, "expected one of all, decoder, head"), ({"layer_decay": 0.0}, "above 0 and at most 1")],
)
def test_unknown_choices_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parameter_groups(network(), **settings)
    assert parameter_groups(network(), trainable="head", layer_decay=1.0)
