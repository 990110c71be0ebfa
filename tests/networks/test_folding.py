"""The folded segmenter gives the network's masks: whatever the options, whenever the weights arrive."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transfer_samples import awake

from monai_hybrid.errors import ConfigError
from monai_hybrid.few_shot import make_trainable
from monai_hybrid.networks import HybridDiffusionUNet, as_domain, fastest_dtype, folded
from monai_hybrid.networks.number_types import CEILINGS

SIZE = {2: (16, 24), 3: (16, 8, 8)}
DIMS = pytest.mark.parametrize("dims", [2, 3])
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "attention at every level, more blocks": {"attention_levels": (True, True), "num_res_blocks": (2, 1)},
    "attention at one level": {"attention_levels": (False, True), "use_flash_attention": False},
    "three levels": {"channels": (8, 16, 16), "num_head_channels": (8, 8, 4)},
    "other groups, checkpointing": {"norm_num_groups": 4, "use_checkpointing": True},
    "space to depth": {"stem": "space_to_depth"},
    "space to depth, attention": {"stem": "space_to_depth", "attention_levels": (True, True), "num_res_blocks": 2},
    "refined": {"stem": "space_to_depth", "refinement": 4},
    "domains": {"num_domains": 2},
}


def small(dims: int, in_channels: int = 1, num_classes: int = 3, seed: int = 0, **options: Any) -> HybridDiffusionUNet:
    torch.manual_seed(seed)
    return awake(
        HybridDiffusionUNet(dims, in_channels, num_classes, **{"channels": (8, 16), "num_head_channels": 8, **options})
    )


def images(dims: int, channels: int = 1) -> Tensor:
    return torch.randn(2, channels, *SIZE[dims], generator=torch.Generator().manual_seed(1))


def relative_error(seen: Tensor, expected: Tensor) -> float:
    return float(((seen - expected).abs().max() / expected.abs().max()).detach())


@DIMS
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("name", list(OPTIONS))
def test_equals_the_network_to_1e_5(dims: int, channels_last: bool, name: str) -> None:
    in_channels = 1 if channels_last else 2
    network, x = small(dims, in_channels, **OPTIONS[name]), images(dims, in_channels)
    logits = folded(network, channels_last=channels_last)(x)
    expected = network(x)
    assert logits.shape == expected.shape and logits.dtype == torch.float32 and logits.is_contiguous()
    assert relative_error(logits, expected) < 1e-5


def test_every_weight_that_masks_depend_on_counts() -> None:
    """A folding that dropped a term, such as the time path, would agree with itself only."""
    # With one channel a group the norm would undo every bias before it, the time path with them.
    network, x = small(2, norm_num_groups=4, stem="space_to_depth", refinement=4), images(2)
    segmenter = folded(network)
    before = segmenter(x)
    for name, weight in network.named_parameters():
        with torch.no_grad():
            weight.add_(0.3 * torch.randn(weight.shape))
        after = segmenter(x)
        # The image rows are not asked for; the same number on every key moves no attention.
        unused = name.startswith("out.2") or name.endswith("to_k.bias")
        assert torch.allclose(after, before, atol=1e-5) == unused, name
        assert relative_error(after, network(x)) < 1e-5, name
        before = after


@DIMS
def test_follows_weights_that_are_loaded_later(dims: int) -> None:
    network, trained, x = small(dims, seed=1), small(dims, seed=2), images(dims)
    segmenter = folded(network)
    first = segmenter(x)
    network.load_state_dict(trained.state_dict())
    assert relative_error(segmenter(x), trained(x)) < 1e-5
    assert relative_error(first, trained(x)) > 1e-2


def test_a_configuration_builds_it_before_the_weights_are_there() -> None:
    settings = {"spatial_dims": 2, "in_channels": 1, "num_classes": 3, "channels": [8, 16], "num_head_channels": 8}
    parser = ConfigParser(
        {
            "network": {"_target_": "monai_hybrid.networks.HybridDiffusionUNet", **settings},
            "segmenter": {"_target_": "monai_hybrid.networks.folded", "network": "@network"},
        }
    )
    segmenter, trained, x = parser.get_parsed_content("segmenter"), small(2), images(2)
    parser.get_parsed_content("network").load_state_dict(trained.state_dict())
    sliding = SlidingWindowInferer((8, 8), 2, 0.5, "gaussian")
    with torch.no_grad():
        assert relative_error(sliding(x, segmenter.eval()), sliding(x, trained)) < 1e-5


def test_folds_once_as_long_as_the_weights_stay() -> None:
    network, x = small(2), images(2)
    segmenter = folded(network)
    segmenter(x)
    steps = segmenter._made
    segmenter(x + 1)
    assert segmenter._made is steps
    network.double().float()
    expected = segmenter(x)
    assert segmenter._made is steps, "other tensors, the same values"
    with torch.no_grad():
        network.out.mask.conv.bias.add_(1)
    assert relative_error(segmenter(x), expected + 1) < 1e-5
    assert segmenter._made is not steps


def fused_step(network: nn.Module, x: Tensor) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), 0.05, fused=True)
    network(x).square().mean().backward()
    optimizer.step()


def through_data(network: nn.Module, x: Tensor) -> None:
    for weight in network.parameters():
        weight.data.mul_(1.1)


def through_numpy(network: nn.Module, x: Tensor) -> None:
    for weight in network.parameters():
        weight.detach().numpy()[...] *= 1.1


WRITERS = pytest.mark.parametrize("write", [fused_step, through_data, through_numpy], ids=lambda write: write.__name__)


@WRITERS
def test_follows_weights_that_change_without_a_trace(write: Any) -> None:
    """None of these moves a tensor's version or its address."""
    network, x = small(2), images(2)
    segmenter = folded(network)
    before, traces = segmenter(x), [(p.data_ptr(), p._version) for p in network.parameters()]
    write(network, x)
    assert [(p.data_ptr(), p._version) for p in network.parameters()] == traces
    assert relative_error(before, network(x)) > 1e-2
    assert relative_error(segmenter(x), network(x)) < 1e-5


@DIMS
@pytest.mark.parametrize("name", list(OPTIONS))
def test_low_rank_updates_are_folded_as_they_compute(dims: int, name: str) -> None:
    network, x = make_trainable(small(dims, **OPTIONS[name]), "low_rank", 2), images(dims)
    segmenter = folded(network)
    before = segmenter(x)
    assert relative_error(before, network(x)) < 1e-5
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn(weight.shape))
    assert relative_error(before, network(x)) > 1e-2
    assert relative_error(segmenter(x), network(x)) < 1e-5


@pytest.mark.parametrize("trainable", ["head", "decoder"])
def test_partly_frozen_networks_are_folded(trainable: str) -> None:
    network, x = make_trainable(small(2), trainable), images(2)
    segmenter = folded(network)
    segmenter(x)
    fused_step(network, x)
    assert relative_error(segmenter(x), network(x)) < 1e-5


@DIMS
@pytest.mark.parametrize("stem", ["plain", "space_to_depth"])
def test_does_less_work(dims: int, stem: str) -> None:
    network, x = small(dims, channels=(8, 32), num_classes=2, stem=stem, merge_layers=False), images(dims)

    def flops(model: nn.Module) -> int:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(x)
        return counter.get_total_flops()

    assert flops(folded(network)) < (0.9 if dims == 2 else 0.8) * flops(network)


def test_keeps_no_gradient_and_leaves_the_network_alone() -> None:
    network, x = small(2), images(2)
    before = copy.deepcopy(network.state_dict())
    segmenter = folded(network).train()
    assert not segmenter(x).requires_grad
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not x.is_inference() and not segmenter(x).is_inference()
    network(x).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_a_copy_follows_its_own_weights() -> None:
    segmenter, x = folded(small(2)), images(2)
    expected = segmenter(x)
    for twin in (copy.deepcopy(segmenter), pickle.loads(pickle.dumps(segmenter))):
        with torch.no_grad():
            segmenter.network.out.mask.conv.bias.add_(1)
        assert torch.equal(twin(x), expected)


def test_metadata_stays_with_the_masks() -> None:
    network, x = small(2), images(2)
    affine = torch.diag(torch.tensor([2.0, 2, 2, 1], dtype=torch.float64))
    logits = folded(network)(MetaTensor(x, affine=affine))
    assert isinstance(logits, MetaTensor) and torch.equal(logits.affine, affine)
    assert type(folded(network)(x)) is Tensor
    assert torch.equal(logits.as_tensor(), folded(network)(x))


def test_an_autocast_around_it_changes_nothing() -> None:
    network, x = small(2), images(2)
    with torch.autocast("cpu", torch.bfloat16):
        logits = folded(network)(x)
    assert torch.equal(logits, folded(network)(x))


def discs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """A disc in each noisy image, and its label: 1 if bright, 2 if dark."""
    generator = torch.Generator().manual_seed(seed)
    grid = torch.stack(torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij"))
    centre = 8 + 16 * torch.rand(count, 2, 1, 1, generator=generator)
    near = (grid - centre).square().sum(1) < 100
    label = near * (1 + torch.arange(count) % 2).view(-1, 1, 1)
    image = torch.tensor([0.0, 0.8, -0.8])[label] + 0.05 * torch.randn(label.shape, generator=generator)
    return image.unsqueeze(1), label


@pytest.mark.parametrize("stem", ["plain", "space_to_depth"])
def test_bfloat16_gives_the_masks_of_a_trained_network(stem: str) -> None:
    """At least 99.9 % of the foreground voxels keep their label."""
    torch.manual_seed(0)
    network = HybridDiffusionUNet(2, 1, 3, channels=(16, 32, 32), norm_num_groups=4, num_head_channels=8, stem=stem)
    optimizer = torch.optim.AdamW(network.parameters(), 5e-3)
    image, label = discs(4, seed=0)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(image), label).backward()
        optimizer.step()
    unseen, truth = discs(64, seed=1)
    full, half = folded(network)(unseen), folded(network, "bfloat16")(unseen)
    seen, expected = half.argmax(1), full.argmax(1)
    assert (expected == truth)[truth > 0].float().mean() > 0.9
    foreground = (expected > 0) | (seen > 0)
    assert foreground.sum() > 10_000
    assert (seen == expected)[foreground].float().mean() >= 0.999
    assert 1e-6 < relative_error(half, full) < 3e-2


@DIMS
@pytest.mark.parametrize("name", list(OPTIONS))
def test_bfloat16_rounds_and_does_nothing_else(dims: int, name: str) -> None:
    network, x = small(dims, **OPTIONS[name]), images(dims)
    assert 1e-4 < relative_error(folded(network, "bfloat16")(x), network(x)) < 5e-2


def test_auto_takes_the_number_type_the_processor_has(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x, cpu = small(2), images(2), torch.device("cpu")
    for ceiling in CEILINGS:
        monkeypatch.delenv(ceiling, raising=False)
    for have, expected in ((True, torch.bfloat16), (False, torch.float32)):
        for test in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, test, lambda have=have: have, raising=False)
        assert fastest_dtype(cpu) == expected
        named = {torch.bfloat16: "bfloat16", torch.float32: "float32"}[expected]
        assert torch.equal(folded(network, "auto")(x), folded(network, named)(x))
    for test in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, test)
    assert fastest_dtype(cpu) == torch.float32


def test_sizes_that_do_not_divide_are_refused_as_by_the_network() -> None:
    segmenter = folded(small(2))
    with pytest.raises(ValueError, match=r"must be a multiple of 2 \(2 levels\), got \(8, 9\): pad to \(8, 10\)"):
        segmenter(torch.zeros(1, 1, 8, 9))
    assert segmenter(torch.zeros(1, 1, 8, 10)).shape == (1, 3, 8, 10)


def test_what_cannot_be_folded_is_refused() -> None:
    with pytest.raises(ConfigError, match="folded: got a DataParallel, expected a HybridDiffusionUNet, not wrapped"):
        folded(nn.DataParallel(small(2)))
    with pytest.raises(ConfigError, match="dtype is 'half', expected one of auto, float32, bfloat16"):
        folded(small(2), "half")
    assert folded(small(2), "float32")(images(2)).shape == (2, 3, *SIZE[2])


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch was built without oneDNN")
@DIMS
def test_one_small_image_alone_takes_the_fast_convolutions_too(dims: int) -> None:
    """PyTorch gives one small float32 image to a kernel of its own, three times slower."""
    segmenter, x = folded(small(dims, channels=(16, 32))), images(dims)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        alone = segmenter(x[:1])
    names = {event.name for event in profile.events()}
    assert "aten::mkldnn_convolution" in names and not any("slow_conv" in name for name in names)
    assert torch.allclose(alone, segmenter(x)[:1], atol=1e-5)


@DIMS
@pytest.mark.parametrize("stem", ["plain", "space_to_depth"])
def test_torch_export_records_it_with_the_weights_of_now(dims: int, stem: str) -> None:
    """The comparison of weights is no part of a program, nor is oneDNN's convolution of one image."""
    network, x = small(dims, stem=stem), images(dims)[:1]
    segmenter = folded(network)
    before = segmenter(x)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1.1)
    program = torch.export.export(segmenter, (x,)).module()
    assert relative_error(program(x), network(x)) < 1e-5 and relative_error(before, network(x)) > 1e-3


@DIMS
def test_the_fixed_segmenter_keeps_its_weights_and_needs_no_network(dims: int) -> None:
    network, x = small(dims), images(dims)[:1]
    make_trainable(network, "low_rank", 2)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)))
    fixed, expected = folded(network).fixed(), network(x).detach()
    assert relative_error(fixed(x), expected) < 1e-5 and not list(fixed.parameters())
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
    assert relative_error(fixed(x), expected) < 1e-5
    script = torch.jit.trace(fixed, (x,), check_trace=False)
    assert relative_error(script(x), expected) < 1e-5


def test_each_domain_is_folded_as_it_is_and_the_target_by_default() -> None:
    network, x = small(2, num_domains=2, norm_num_groups=4), images(2)
    source, target = (network(x, class_labels=torch.tensor([domain])) for domain in (0, 1))
    assert relative_error(source, target) > 1e-3
    assert relative_error(folded(network)(x), target) < 1e-5
    view = as_domain(network, 0)
    assert relative_error(folded(view)(x), source) < 1e-5
    segmenter = folded(view)
    segmenter(x)
    with torch.no_grad():
        network.class_embedding.weight[0].add_(1.0)  # the view has the network's weights, not a copy
    assert relative_error(segmenter(x), network(x, class_labels=torch.tensor([0]))) < 1e-5
