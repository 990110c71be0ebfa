"""The space-to-depth stem: the same method on a body of half the resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn
from transfer_samples import awake, table

from monai_hybrid.networks import HybridDiffusionUNet, transfer_weights
from monai_hybrid.networks.subpixel import (
    DepthToSpaceConvolution,
    SpaceToDepthConvolution,
    depth_to_space,
    space_to_depth,
)
from monai_hybrid.weights import make_card, save_weights

ROOT = Path(__file__).parents[2]
DIMS = pytest.mark.parametrize("dims", [2, 3])
SMALL: dict[str, Any] = {"channels": (8, 16), "norm_num_groups": 4, "num_head_channels": 8, "stem": "space_to_depth"}


def tiny(dims: int = 2, in_channels: int = 1, num_classes: int = 3, seed: int = 0, **changes: Any) -> HybridDiffusionUNet:
    torch.manual_seed(seed)
    return awake(HybridDiffusionUNet(dims, in_channels, num_classes, **{**SMALL, **changes}), seed)


def images(dims: int, channels: int = 1) -> Tensor:
    return torch.randn(2, channels, *(8, 12, 4)[:dims], generator=torch.Generator().manual_seed(1))


@DIMS
def test_depth_to_space_undoes_space_to_depth(dims: int) -> None:
    x = images(dims, 3)
    deep = space_to_depth(x)
    assert deep.shape == (2, 3 * 2**dims, *(n // 2 for n in x.shape[2:]))
    # The voxels of one block, last axis fastest.
    assert torch.equal(
        deep[0, : 2**dims].flatten(1)[:, 0], x[0, 0, :2, :2].flatten() if dims == 2 else x[0, 0, :2, :2, :2].flatten()
    )
    assert torch.equal(depth_to_space(deep), x)


@DIMS
def test_the_first_layer_is_a_strided_convolution(dims: int) -> None:
    layer, x = SpaceToDepthConvolution(dims, 2, 5), images(dims, 2)
    assert layer.conv.kernel_size == (6,) * dims and layer.conv.stride == (2,) * dims and layer.conv.padding == (2,) * dims
    assert torch.allclose(layer(x), layer.conv(x), atol=1e-5)


@DIMS
def test_the_last_layer_gives_each_voxel_of_a_block_its_own_kernel(dims: int) -> None:
    """Voxel 2 o + a of label k: the sum over neighbours i = 0..2 of weight[k, :, 2 i + a] times the features at o + i - 1."""
    layer, h = DepthToSpaceConvolution(dims, 4, 3), torch.randn(2, 4, *(3, 4, 2)[:dims])
    with torch.no_grad():
        layer.conv.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    seen = layer(h)
    convolve = torch.conv2d if dims == 2 else torch.conv3d
    for phase in torch.cartesian_prod(*[torch.arange(2)] * dims).tolist():
        taps = (slice(None), slice(None), *(slice(a, None, 2) for a in phase))
        expected = convolve(h, layer.conv.weight[taps], layer.conv.bias, padding=1)
        assert torch.allclose(seen[taps], expected, atol=1e-5)


@DIMS
def test_all_outputs_in_one_pass_at_full_resolution(dims: int) -> None:
    network, x, t = tiny(dims, in_channels=2), images(dims, 2), torch.tensor([0, 500])
    both = network(x, t, return_noise=True)
    assert both.shape == (2, 2 + 3, *x.shape[2:])
    assert torch.allclose(network(x)[0], both[0, 2:], atol=1e-5)
    assert not torch.allclose(network(x)[1], both[1, 2:], atol=1e-2)


@DIMS
def test_starts_as_the_plain_network_does(dims: int) -> None:
    """Image rows at zero, mask rows at the scale of PyTorch's own start, a gradient for every parameter."""
    torch.manual_seed(0)
    network = HybridDiffusionUNet(dims, 1, 3, **SMALL)
    plain = HybridDiffusionUNet(dims, 1, 3, **{**SMALL, "stem": "plain"})
    output = network(images(dims), torch.tensor([0, 9]), return_noise=True)
    assert (output[:, :1] == 0).all()
    spread = [float(n.out.mask.conv.weight.std()) for n in (network, plain)]
    assert spread[0] == pytest.approx(spread[1], rel=0.15)
    output.sum().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_the_body_costs_less() -> None:
    features: list[torch.Size] = []
    network, x = tiny(3), images(3)
    network.down_blocks[0].register_forward_hook(
        lambda _m, _a, kw, _o: features.append(kw["hidden_states"].shape), with_kwargs=True
    )
    network(x)
    assert features == [(2, 8, 4, 6, 2)]


@DIMS
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_trace_equals_the_network_on_another_size(dims: int) -> None:
    network = tiny(dims)
    with torch.no_grad():
        traced = torch.jit.trace(network, images(dims))
        other = torch.randn(3, 1, *(n + 4 for n in images(dims).shape[2:]))
        assert torch.allclose(traced(other), network(other), atol=1e-5)


def test_sizes_and_names_that_do_not_fit_are_refused() -> None:
    network = tiny()
    with pytest.raises(ValueError, match=r"multiple of 4 \(2 levels after space_to_depth\), got \(8, 10\): pad to \(8, 12\)"):
        network(torch.zeros(1, 1, 8, 10))
    assert network(torch.zeros(1, 1, 8, 12)).shape == (1, 3, 8, 12)
    with pytest.raises(ValueError, match="stem: got 'patch', expected one of plain, space_to_depth"):
        tiny(stem="patch")
    assert tiny(stem="plain")(torch.zeros(1, 1, 8, 10)).shape == (1, 3, 8, 10)


def written(folder: Path, network: nn.Module, channels: list[str], labels: list[str]) -> Path:
    dataset = {"spatial_dims": 2, "channels": channels, "labels": table(labels), "name": "ward"}
    save_weights(network.state_dict(), folder, make_card({"spatial_dims": 2, **SMALL}, dataset, {}, {}))
    return folder / "model.safetensors"


def test_transfer_follows_labels_and_channels(tmp_path: Path) -> None:
    """Labels in another order and one new; a second image channel that, equal to the first, changes nothing."""
    source, x = tiny(seed=1), images(2)
    path = written(tmp_path, source, ["MR"], ["background", "left", "right"])
    labels = ["background", "right", "left", "tumour"]
    network = tiny(2, in_channels=2, num_classes=4, seed=5)
    fresh = network.out.mask.conv.bias[3].item()
    report = transfer_weights(network, path, table(labels), ["MR", "T2"])
    t = torch.tensor([0, 300])
    given, expected = network(x.repeat(1, 2, 1, 1), t, True), source(x, t, True)
    assert torch.allclose(given[:, 2:5], expected[:, [1, 3, 2]], atol=1e-4)
    assert torch.allclose(given[:, :1], expected[:, :1], atol=1e-4)
    assert network.out.mask.conv.bias[3].item() == fresh
    assert {entry.name for entry in report.tensors if entry.status == "adapted"} >= {
        "conv_in.conv.weight",
        "out.mask.conv.weight",
    }


def test_transfer_follows_them_through_a_refinement(tmp_path: Path) -> None:
    refined = {**SMALL, "refinement": 4}
    source, x = tiny(seed=1, refinement=4), images(2)
    dataset = {"spatial_dims": 2, "channels": ["MR"], "labels": table(["background", "left", "right"]), "name": "ward"}
    save_weights(source.state_dict(), tmp_path, make_card({"spatial_dims": 2, **refined}, dataset, {}, {}))
    labels = ["background", "right", "left", "tumour"]
    network = tiny(2, in_channels=2, num_classes=4, seed=5, refinement=4)
    transfer_weights(network, tmp_path / "model.safetensors", table(labels), ["MR", "T2"])
    t = torch.tensor([0, 300])
    given, expected = network(x.repeat(1, 2, 1, 1), t, True), source(x, t, True)
    assert torch.allclose(given[:, 2:5], expected[:, [1, 3, 2]], atol=1e-4)
    plain = tiny(2, in_channels=1, num_classes=3, seed=5)
    report = transfer_weights(plain, tmp_path / "model.safetensors", table(["background", "left", "right"]), ["MR"])
    assert any("refinement was 4, here it is 0" in text for text in report.warnings)


@DIMS
def test_a_refinement_starts_as_nothing_and_reads_each_voxel(dims: int) -> None:
    torch.manual_seed(0)
    network, x = HybridDiffusionUNet(dims, 1, 3, **SMALL, refinement=4), images(dims)
    bare = HybridDiffusionUNet(dims, 1, 3, **SMALL)
    bare.load_state_dict({name: value for name, value in network.state_dict().items() if name in bare.state_dict()})
    assert torch.equal(network(x), bare(x)) and network(x, return_noise=True).shape[1] == 1 + 3
    awake(network)
    bare.load_state_dict({name: value for name, value in network.state_dict().items() if name in bare.state_dict()})
    image, features = x, torch.zeros(2, 4, *x.shape[2:])
    refine = network.out.refine
    assert refine is not None and not torch.equal(refine(image, features), refine(-image, features))
    assert not torch.equal(network(x), bare(x))
    network(x).sum().backward()
    assert all(weight.grad is not None for name, weight in network.named_parameters() if "refine." in name)


def test_a_refinement_of_the_full_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"refinement: got 4 with the stem 'plain', which has the full grid; expected 0"):
        tiny(stem="plain", refinement=4)


def test_transfer_between_stems_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, tiny(), ["MR"], ["background", "left", "right"])
    plain = tiny(stem="plain")
    with pytest.raises(Exception, match=r'conv_in.conv.weight has shape .* "stem": "space_to_depth"'):
        transfer_weights(plain, path, table(["background", "left", "right"]), ["MR"])


CONFIGS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "bundles").glob("*/configs/*.json"))


@pytest.mark.parametrize("config", [name for name in CONFIGS if '"network_def": {' in (ROOT / name).read_text()])
@pytest.mark.parametrize("stem", [None, "plain", "space_to_depth"])
def test_configurations_build_the_stem_of_the_card_or_plan(config: str, stem: str | None) -> None:
    """None: a card or plan from before there was a choice."""
    settings = {"channels": [8, 16], "num_res_blocks": [1, 1], "attention_levels": [False, False]}
    settings |= {"norm_num_groups": 8, "num_head_channels": 8, **({} if stem is None else {"stem": stem})}
    definition = ConfigParser.load_config_file(str(ROOT / config))["network_def"]
    card = {"spatial_dims": 2, "channels": ["MR"], "labels": table(["background", "heart"]), "network": settings}
    known = {"card": card, "network_args": settings, "spatial_dims": 2, "num_channels": 1, "num_classes": 2}
    network = ConfigParser({"network_def": definition, "use_checkpointing": False, **known}).get_parsed_content("network_def")
    assert network.stem == (stem or "plain")
