"""Which weights move, and how fast."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.errors import ConfigError
from monai_hybrid.few_shot import make_trainable, parameter_groups, trained_weights
from monai_hybrid.networks import HybridDiffusionUNet


def network() -> HybridDiffusionUNet:
    return HybridDiffusionUNet(2, 1, 2, channels=(8, 16))


@pytest.mark.parametrize(
    ("trainable", "moving"),
    [
        ("all", {"conv_in", "time_embed", "down_blocks", "middle_block", "up_blocks", "out"}),
        ("decoder", {"up_blocks", "out"}),
        ("head", {"out"}),
        ("norm", {"down_blocks", "middle_block", "up_blocks", "out"}),
    ],
)
def test_only_the_chosen_part_changes(trainable: str, moving: set[str]) -> None:
    net = make_trainable(network(), trainable)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = torch.optim.SGD(parameter_groups(net, 0.1), lr=0.1)
    net(torch.randn(2, 1, 8, 8), return_noise=True).square().mean().backward()
    net(torch.randn(2, 1, 8, 8)).square().mean().backward()
    optimizer.step()
    changed = {name.split(".")[0] for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert changed <= moving and "out" in changed
    assert {n.split(".")[0] for n, p in net.named_parameters() if p.requires_grad} == moving


@pytest.mark.parametrize("more", [{}, {"stem": "space_to_depth", "refinement": 4}, {"num_domains": 2}])
def test_every_parameter_is_in_exactly_one_group(more: dict[str, Any]) -> None:
    net = HybridDiffusionUNet(2, 1, 2, channels=(8, 16), **more)
    grouped = [p for group in parameter_groups(net) for p in group["params"]]
    assert len(grouped) == len(set(map(id, grouped))) == len(list(net.parameters()))


@pytest.mark.parametrize("trainable", ["head", "low_rank"])
def test_frozen_weights_are_in_no_group(trainable: str) -> None:
    net = make_trainable(network(), trainable)
    grouped = {id(p) for group in parameter_groups(net) for p in group["params"]}
    assert grouped == {id(p) for p in net.parameters() if p.requires_grad}


def test_the_learning_rate_falls_with_the_distance_from_the_output() -> None:
    rates = [group["lr"] for group in parameter_groups(network(), learning_rate=1.0, layer_decay=0.5)]
    assert rates == [1.0, 0.5, 0.25, 0.125, 0.0625]
    rates = [g["lr"] for g in parameter_groups(make_trainable(network(), "decoder"), learning_rate=1.0, layer_decay=0.5)]
    assert rates == [1.0, 0.5]


def test_the_number_of_trained_weights_is_said(caplog: pytest.LogCaptureFixture) -> None:
    net = network()
    total, head = (sum(p.numel() for p in part.parameters()) for part in (net, net.out))
    with caplog.at_level(logging.INFO, logger="monai_hybrid.adaptation"):
        assert trained_weights(make_trainable(net, "head")) == head
    assert caplog.messages == [f"training head: {head:,} weights (the model has {total:,})"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trainable": "encoder"}, "trainable: got 'encoder', expected one of all, decoder, head, low_rank, norm"),
        ({"trainable": "low_rank", "rank": 0}, "low_rank: got 0, expected a rank of at least 1"),
    ],
)
def test_unknown_choices_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_trainable(network(), **settings)
    assert make_trainable(network(), trainable="low_rank", rank=1)


def test_a_factor_outside_its_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        parameter_groups(network(), layer_decay=0.0)
    assert parameter_groups(network(), layer_decay=1.0)


@pytest.mark.parametrize("layer_decay", [1.0, 0.5, 0.1])
def test_no_group_ever_has_a_higher_rate_than_its_own(layer_decay: float) -> None:
    """With the schedule of the configuration, whose floor is one number for all groups."""
    optimizer = torch.optim.AdamW(parameter_groups(network(), 0.001, layer_decay), lr=0.001)
    config: dict[str, Any] = json.loads((bundle_folder("few_shot_finetune") / "configs/train.json").read_text())
    parser = ConfigParser({
        "imports": ["$import monai_hybrid.few_shot as few_shot"],
        "learning_rate": 0.001,
        "layer_decay": layer_decay,
        "warmup_updates": 4,
        "optimizer": optimizer,
        "lr_scheduler": {**config["lr_scheduler"], "t_total": 20},
    })  # fmt: skip
    schedule = parser.get_parsed_content("lr_scheduler")
    for _ in range(20):
        optimizer.step()
        schedule.step()
        rates = [group["lr"] / group["initial_lr"] for group in optimizer.param_groups]
        assert max(rates) <= 1 and rates == pytest.approx([rates[0]] * len(rates), abs=0.0101)
    assert optimizer.param_groups[-1]["lr"] == pytest.approx(1e-5 * layer_decay**4)
