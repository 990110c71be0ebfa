"""Low-rank updates: nothing at the start, an ordinary model at the end."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from ignite.engine import Engine
from ignite.handlers import EMAHandler
from torch import Tensor, nn
from transfer_samples import tiny

from monai_hybrid.few_shot import make_trainable, parameter_groups, trained_weights
from monai_hybrid.few_shot.low_rank import LowRankUpdate
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.networks.merged_state import merged_state_dict
from monai_hybrid.weights import save_weights, with_pretrained

DIMS = pytest.mark.parametrize("dims", [2, 3])


def image(dims: int = 2) -> Tensor:
    return torch.randn(2, 1, *[8] * dims, generator=torch.Generator().manual_seed(1))


def train(net: nn.Module, updates: int = 3, dims: int = 2) -> None:
    """A few updates of both heads."""
    body = net.module if isinstance(net, nn.parallel.DistributedDataParallel) else net
    optimizer = torch.optim.AdamW(parameter_groups(body, 0.01))
    for _ in range(updates):
        optimizer.zero_grad()
        (net(image(dims), torch.tensor([0, 300]), return_noise=True) - 1).square().mean().backward()
        optimizer.step()


@DIMS
def test_the_start_is_the_pretrained_network_bit_for_bit(dims: int) -> None:
    net = tiny(dims=dims)
    before, state = net(image(dims), return_noise=True), copy.deepcopy(net.state_dict())
    make_trainable(net, "low_rank", 4)
    assert torch.equal(net(image(dims), return_noise=True), before)
    merged = merged_state_dict(net)
    assert set(merged) == set(state)
    assert all(torch.equal(merged[name], state[name]) for name in state)


@DIMS
def test_the_merged_model_is_an_ordinary_one_and_computes_the_same(dims: int, tmp_path: Path) -> None:
    net = make_trainable(tiny(dims=dims), "low_rank", 4)
    train(net, dims=dims)
    save_weights(merged_state_dict(net), tmp_path, {})
    plain = with_pretrained(tiny(dims=dims, seed=5), tmp_path / "model.pt")
    assert not any("parametrizations" in name for name in plain.state_dict())
    assert torch.equal(plain(image(dims), return_noise=True), net(image(dims), return_noise=True))
    assert not torch.allclose(plain(image(dims)), tiny(dims=dims)(image(dims)))


def test_the_head_is_trained_whole_and_the_body_by_updates_of_the_rank() -> None:
    start, net = tiny(), make_trainable(tiny(), "low_rank", 2)
    train(net)
    merged, before = merged_state_dict(net), start.state_dict()
    ranks = {}
    for name, weight in merged.items():
        change = (weight - before[name]).reshape(len(weight), -1) if weight.ndim > 1 else weight - before[name]
        if name.startswith("out."):
            assert change.abs().max() > 1e-4, name
        elif weight.ndim > 1:
            # A difference of rounded weights: below 1e-6 it is noise.
            ranks[name] = int(torch.linalg.matrix_rank(change, atol=1e-6, rtol=1e-4))
        else:
            assert torch.equal(weight, before[name]), f"{name}: norms and biases of the body stay"
    assert max(ranks.values()) == 2 and ranks["conv_in.conv.weight"] == 2
    assert any("attn" in name or "to_q" in name for name in ranks), "the attention is updated as well"


def test_fewer_weights_are_trained_and_a_large_rank_is_cut() -> None:
    few, many, every = (trained_weights(make_trainable(tiny(), *how)) for how in (("low_rank", 1), ("low_rank", 4), ("all",)))
    assert few < many < every
    update = LowRankUpdate(torch.zeros(6, 2, 3, 3), rank=100)
    assert update.up.shape == (6, 6) and update.down.shape == (6, 18)


def test_every_trained_weight_gets_a_gradient() -> None:
    net = make_trainable(tiny(), "low_rank", 4)
    train(net, 1)  # before it, `up` is zero, and so is the gradient of `down`
    net.zero_grad()
    net(image(), torch.tensor([0, 300]), return_noise=True).square().mean().backward()
    still = [name for name, p in net.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert still == []


def test_the_averaged_model_is_saved_as_it_computes() -> None:
    net = make_trainable(tiny(), "low_rank", 4)
    engine = Engine(lambda engine, batch: train(net, 1))
    handler = EMAHandler(net, momentum=0.5)
    handler.attach(engine)
    engine.run([0, 1, 2])
    plain = tiny(seed=3)
    plain.load_state_dict(merged_state_dict(handler.ema_model))
    assert torch.equal(plain(image()), handler.ema_model(image()))
    assert not torch.allclose(plain(image()), net(image()), atol=1e-6), "the average lags behind"


def test_gradient_checkpointing_changes_nothing() -> None:
    nets = [make_trainable(tiny(use_checkpointing=on), "low_rank", 4) for on in (False, True)]
    nets[1].load_state_dict(nets[0].state_dict())
    for net in nets:
        train(net.train())
    states = [merged_state_dict(net) for net in nets]
    assert all(torch.allclose(states[0][name], states[1][name], atol=1e-6) for name in states[0])


def test_a_checkpoint_of_the_factors_continues() -> None:
    net, other = (make_trainable(tiny(), "low_rank", 4) for _ in range(2))
    train(net)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(image()), net(image()))


@pytest.mark.skipif(not dist.is_available(), reason="this PyTorch was built without torch.distributed")
@pytest.mark.parametrize("trainable", ["all", "decoder", "head", "low_rank"])
def test_under_ddp_all_that_is_trained_takes_part(trainable: str, tmp_path: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        plain, wrapped = (make_trainable(tiny(), trainable, 4) for _ in range(2))
        wrapped.load_state_dict(plain.state_dict())
        train(nn.parallel.DistributedDataParallel(wrapped), 3)
        train(plain, 3)
    finally:
        dist.destroy_process_group()
    assert isinstance(wrapped, HybridDiffusionUNet)
    states = [merged_state_dict(net) for net in (plain, wrapped)]
    assert all(torch.allclose(states[0][name], states[1][name], atol=1e-6) for name in states[0])
