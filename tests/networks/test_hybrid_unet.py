"""The network: a stock DiffusionModelUNet with mask channels, callable as a segmenter and as a denoiser."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from monai.networks.nets import DiffusionModelUNet
from torch import Tensor
from transfer_samples import SMALL, awake

from monai_hybrid.bundle import mixed_precision_pays
from monai_hybrid.networks import HybridDiffusionUNet, as_domain, merged_layers
from monai_hybrid.networks.merged_layers import PointwiseProduct, ShortAttention

SIZE = {2: (8, 12), 3: (8, 4, 6)}
DIMS = pytest.mark.parametrize("dims", [2, 3])


@pytest.fixture(autouse=True)
def _same_weights_every_time() -> None:
    torch.manual_seed(0)


def tiny(dims: int, in_channels: int = 1, num_classes: int = 3, **changes: Any) -> HybridDiffusionUNet:
    return HybridDiffusionUNet(dims, in_channels, num_classes, **{**SMALL, **changes})


def images(dims: int, batch: int = 2, channels: int = 1, seed: int = 1) -> Tensor:
    return torch.randn(batch, channels, *SIZE[dims], generator=torch.Generator().manual_seed(seed))


@DIMS
def test_the_default_call_is_the_segmenter_at_time_0(dims: int) -> None:
    network, x = awake(tiny(dims, in_channels=2)).double(), images(dims, channels=2).double()
    logits = network(x)
    assert logits.shape == (2, 3, *SIZE[dims])
    both = network(x, torch.zeros(1), return_noise=True)
    assert both.shape == (2, 2 + 3, *SIZE[dims])
    assert torch.equal(logits, both[:, 2:])
    assert torch.allclose(network(x, torch.zeros(2)), logits, atol=1e-10)
    assert not torch.allclose(network(x, torch.tensor([500, 500])), logits)


@DIMS
def test_each_sample_has_its_own_noise_level_and_does_not_see_the_others(dims: int) -> None:
    network, x, t = awake(tiny(dims)).double(), images(dims).double(), torch.tensor([0, 700])
    together = network(x, t, return_noise=True)
    alone = torch.cat([network(x[i : i + 1], t[i : i + 1], return_noise=True) for i in range(2)])
    assert torch.allclose(together, alone, atol=1e-10)


@DIMS
def test_weights_of_the_stock_network_load_and_give_the_same_denoiser(dims: int) -> None:
    stock = awake(DiffusionModelUNet(dims, 1, 1, attention_levels=(False, False), use_flash_attention=True, **SMALL))
    assert stock.out[2].conv.weight.abs().min() > 0
    network = tiny(dims).eval()
    report = network.load_state_dict(stock.state_dict(), strict=False)
    assert sorted(report.missing_keys) == ["out.mask.conv.bias", "out.mask.conv.weight"]
    assert report.unexpected_keys == []
    x, t = images(dims), torch.tensor([0, 321])
    assert torch.allclose(network(x, t, return_noise=True)[:, :1], stock(x, t), atol=1e-5)
    as_it_is = tiny(dims, merge_layers=False).eval()
    as_it_is.load_state_dict(network.state_dict())
    assert torch.equal(as_it_is(x, t, return_noise=True)[:, :1], stock(x, t))


@DIMS
@pytest.mark.parametrize("stem", ["plain", "space_to_depth"])
def test_merged_layers_give_the_same_and_the_same_gradients(dims: int, stem: str) -> None:
    merged = awake(tiny(dims, stem=stem)).double()
    stock = tiny(dims, stem=stem, merge_layers=False).double()
    assert stock.load_state_dict(merged.state_dict()).missing_keys == []
    x, t = torch.randn(2, 1, *[8] * dims, dtype=torch.float64), torch.tensor([0, 700])
    said = [network(x, t, return_noise=True) for network in (merged, stock)]
    assert torch.allclose(*said, atol=1e-10)
    for output in said:
        output.square().sum().backward()
    pairs = [(p.grad, q.grad) for p, q in zip(merged.parameters(), stock.parameters(), strict=True)]
    assert all(torch.allclose(a, b, rtol=1e-6, atol=1e-8) for a, b in pairs if a is not None and b is not None)
    assert sum(a is not None for a, _ in pairs) == sum(b is not None for _, b in pairs) > 20


@pytest.mark.skipif(not mixed_precision_pays("cpu"), reason="this processor does not compute in bfloat16")
def test_attention_in_bfloat16_is_that_of_float32_up_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = next(m for m in tiny(2).modules() if isinstance(m, ShortAttention))
    x = torch.randn(2, 30, layer.to_q.in_features)
    exact = layer(x)
    fused = []
    attend = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(merged_layers.F, "scaled_dot_product_attention", lambda *a, **k: fused.append(a) or attend(*a, **k))
    with torch.autocast("cpu", torch.bfloat16):
        said = layer(x)
        assert not fused and (said - exact).abs().max() < 0.02 * exact.abs().max()
        monkeypatch.setattr(merged_layers, "FEW_POSITIONS", 29)
        assert (layer(x) - exact).abs().max() < 0.02 * exact.abs().max() and len(fused) == 1


def test_elsewhere_than_on_a_cpu_layers_are_monais(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = tiny(2).up_blocks[0].upsampler
    used = []
    monkeypatch.setattr(layer.postconv, "forward", lambda x: used.append(x.shape) or x)
    monkeypatch.setattr(layer.upsample_non_trainable, "forward", lambda x: x)
    layer(torch.empty(1, 8, 4, 4, device="meta"))
    assert used == [(1, 8, 4, 4)]
    pointwise = next(m for m in tiny(2).modules() if isinstance(m, PointwiseProduct))
    monkeypatch.setattr(pointwise.conv, "forward", lambda x: used.append(x.shape) or x)
    pointwise(torch.empty(1, 8, 2, 2, device="meta"))
    assert used[1:] == [(1, 8, 2, 2)]


@DIMS
def test_image_rows_start_at_zero_and_mask_rows_do_not(dims: int) -> None:
    output = tiny(dims).eval()(images(dims), torch.tensor([0, 9]), return_noise=True)
    assert (output[:, :1] == 0).all()
    assert output[:, 1:].std() > 0


@DIMS
def test_the_mask_teaches_the_body_from_the_first_step(dims: int) -> None:
    network = tiny(dims)
    network(images(dims)).square().sum().backward()
    assert network.conv_in.conv.weight.grad.abs().sum() > 0


@DIMS
@pytest.mark.parametrize("part", ["logits", "segmenter", "image"])
def test_every_parameter_gets_a_gradient_whatever_enters_the_loss(dims: int, part: str) -> None:
    """DistributedDataParallel waits for all of them."""
    network, x, t = tiny(dims), images(dims), torch.tensor([0, 5])
    if part == "segmenter":
        output = network(x)
    else:
        output = network(x, t, return_noise=True)
        output = output[:, 1:] if part == "logits" else output[:, :1]
    output.sum().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


@DIMS
def test_checkpointing_changes_neither_output_nor_gradients(dims: int) -> None:
    plain, saving = tiny(dims), tiny(dims, use_checkpointing=True)
    saving.load_state_dict(plain.state_dict())
    x, t = images(dims), torch.tensor([0, 40])
    results = []
    for network in (awake(plain), awake(saving)):
        output = network.train()(x, t, return_noise=True)
        output.square().mean().backward()
        results.append([output, *(p.grad for p in network.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_checkpointing_really_recomputes() -> None:
    calls = {}
    for use in (False, True):
        network, count = tiny(2, use_checkpointing=use), []
        network.middle_block.attention.register_forward_hook(lambda *_, count=count: count.append(1))
        network(images(2)).sum().backward()
        calls[use] = len(count)
    assert calls == {False: 1, True: 2}


@pytest.mark.parametrize("use_checkpointing", [False, True])
def test_a_copy_shares_nothing_with_its_original(use_checkpointing: bool) -> None:
    """The average of the weights (EMA) is such a copy."""
    network = awake(tiny(2, use_checkpointing=use_checkpointing))
    twin, x = copy.deepcopy(network), images(2)
    before = network(x)
    assert torch.equal(twin(x), before)
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
    assert torch.equal(twin(x), before)
    twin(x).sum().backward()
    assert all(p.grad is None for p in network.parameters())


@DIMS
def test_flash_attention_changes_nothing_but_memory(dims: int) -> None:
    fused, plain = awake(tiny(dims)), tiny(dims, use_flash_attention=False).eval()
    plain.load_state_dict(fused.state_dict())
    x, t = images(dims), torch.tensor([3, 800])
    assert torch.allclose(fused(x, t, True), plain(x, t, True), atol=1e-5)


@DIMS
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_trace_equals_the_network_on_another_size(dims: int) -> None:
    network = awake(tiny(dims))
    with torch.no_grad():
        traced = torch.jit.trace(network, images(dims))
        other = torch.randn(3, 1, *(n + 4 for n in SIZE[dims]))
        assert torch.allclose(traced(other), network(other), atol=1e-5)


@pytest.mark.parametrize(
    ("dims", "shape", "fit"),
    [
        (2, (1, 1, 9, 12), r"\(9, 12\): pad to \(12, 12\)"),
        (2, (1, 1, 8, 10), r"\(8, 10\): pad to \(8, 12\)"),
        (3, (1, 1, 8, 8, 3), r"\(8, 8, 3\): pad to \(8, 8, 4\)"),
    ],
)
def test_sizes_that_do_not_divide_are_refused_with_the_size_to_pad_to(dims: int, shape: tuple[int, ...], fit: str) -> None:
    network = tiny(dims, channels=(8, 8, 16)).eval()
    with pytest.raises(ValueError, match=r"must be a multiple of 4 \(3 levels\), got " + fit):
        network(torch.zeros(shape))
    padded = tuple(-(-n // 4) * 4 for n in shape[2:])
    assert network(torch.zeros(1, 1, *padded)).shape == (1, 3, *padded)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (2, 8, 8), (1, 2, 8, 8, 8)])
def test_inputs_of_another_kind_are_refused_with_the_expected_axes(shape: tuple[int, ...]) -> None:
    network = tiny(2, in_channels=2).eval()
    with pytest.raises(ValueError, match=r"expected an input \(B, 2, X, Y\), got \(" + str(shape[0])):
        network(torch.zeros(shape))
    assert network(torch.zeros(1, 2, 8, 8)).shape == (1, 3, 8, 8)


def test_networks_that_cannot_be_built_are_refused() -> None:
    with pytest.raises(ValueError, match="num_classes counts the background, so it must be at least 2, got 1"):
        tiny(2, num_classes=1)
    with pytest.raises(ValueError, match=r"each of channels \(8, 12\) must be a multiple of norm_num_groups 8"):
        tiny(2, channels=(8, 12))
    assert tiny(2, num_classes=2)(torch.zeros(1, 1, 8, 8)).shape == (1, 2, 8, 8)
    assert tiny(2, channels=(8, 12), norm_num_groups=4, num_head_channels=4).size_divisor == 2


@DIMS
def test_domains_are_monai_s_class_embedding(dims: int) -> None:
    stock = awake(DiffusionModelUNet(dims, 1, 1, attention_levels=(False, False), num_class_embeds=2, **SMALL))
    network = tiny(dims, num_domains=2).eval()
    report = network.load_state_dict(stock.state_dict(), strict=False)
    assert sorted(report.missing_keys) == ["out.mask.conv.bias", "out.mask.conv.weight"] and report.unexpected_keys == []
    x, t, labels = images(dims), torch.tensor([0, 321]), torch.tensor([0, 1])
    assert torch.allclose(network(x, t, True, labels)[:, :1], stock(x, t, class_labels=labels), atol=1e-5)


def test_a_scan_of_which_nothing_is_said_is_of_the_target() -> None:
    network, x, t = awake(tiny(2, num_domains=2)), images(2), torch.tensor([0, 321])
    of_target = network(x, t, True, torch.tensor([1, 1]))
    assert torch.allclose(network(x, t, True), of_target, atol=1e-6)
    assert not torch.allclose(network(x, t, True, torch.tensor([0, 0])), of_target, atol=1e-3)
    assert torch.allclose(as_domain(network, 0)(x, t, True), network(x, t, True, torch.tensor([0, 0])), atol=1e-6)
    plain = tiny(2)
    assert as_domain(plain, 0) is plain


def test_domains_change_no_other_weight_no_later_draw_and_no_first_output() -> None:
    torch.manual_seed(0)
    told, drawn = tiny(2, num_domains=2), torch.rand(1)
    torch.manual_seed(0)
    plain = tiny(2)
    assert torch.equal(torch.rand(1), drawn)  # runs of one seed see the same noise
    assert all(torch.equal(told.state_dict()[name], value) for name, value in plain.state_dict().items())
    x, t = images(2), torch.tensor([0, 321])
    for network in (told, plain):  # blocks start at zero: as after some updates
        torch.manual_seed(1)
        for name, weight in network.named_parameters():
            if "class_embedding" not in name:
                torch.nn.init.normal_(weight, std=0.1)
    assert torch.equal(told(x, t, True, torch.tensor([0, 1])), plain(x, t, True))


def test_both_domains_learn() -> None:
    network = awake(tiny(2, num_domains=2))
    network(images(2), torch.tensor([3, 3]), True, torch.tensor([0, 1])).square().sum().backward()
    assert network.class_embedding.weight.grad.abs().sum(1).min() > 0


@pytest.mark.parametrize("number", [1, 3, -1])
def test_another_number_of_domains_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"num_domains: got {number}, expected one of 0, 2"):
        tiny(2, num_domains=number)
