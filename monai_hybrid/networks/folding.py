"""The segmenter inside a trained network: t = 0, mask rows only, the same logits for a fraction of the time.

What is constant at t = 0 is computed once (the time path becomes biases), what is not asked for is left out (image rows), what
can be merged is merged (upsampling with the convolution after it), and nothing is kept for a backward pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import torch
from monai.data import MetaTensor
from monai.networks.nets.diffusion_model_unet import get_timestep_embedding
from monai.utils import convert_to_dst_type
from torch import Tensor, nn

from monai_hybrid.errors import ConfigError
from monai_hybrid.networks.folded_layers import (
    FoldedAttention,
    FoldedConvolution,
    FoldedNorm,
    FoldedRefinement,
    FoldedResidual,
    FoldedUpsampling,
    Style,
    parameters_of,
)
from monai_hybrid.networks.hybrid_unet import HybridDiffusionUNet
from monai_hybrid.networks.number_types import fastest_dtype, warn_of_slow_bfloat16
from monai_hybrid.networks.subpixel import FACTOR, coarse_input_kernel, coarse_output_kernel, depth_to_space, space_to_depth
from monai_hybrid.networks.weights_state import WeightsState

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Layer = Callable[[Tensor], Tensor]


def folded(network: nn.Module, dtype: str = "float32", channels_last: bool = True) -> FoldedSegmenter:
    """The segmenter of `network`: (B, C, X, Y[, Z]) image -> (B, K, X, Y[, Z]) mask logits, float32, equal to `network(x)`.

    May be built before the weights are loaded: the folding happens at the first call, and again whenever the weights have
    other values or another place, however they came there. Layers with parametrisations, such as low-rank updates, are folded
    as they compute. In a configuration: {"_target_": "monai_hybrid.networks.folded", "network": "@network", "dtype": "auto"}.

    Args:
        network: a `HybridDiffusionUNet`; it stays as it is and is still the one to load weights into.
        dtype: "float32" (equal to 1e-5), "bfloat16", or "auto": bfloat16 where the device computes in it, else float32.
        channels_last: memory layout of the features; faster on CPUs.

    Raises:
        ConfigError: another kind of network, or an unknown `dtype`.
    """
    return FoldedSegmenter(network, dtype, channels_last)


class FoldedSegmenter(nn.Module):
    """See `folded`. Gradients never flow through it; it holds the weights thrice: as they are, folded, and as they were.

    Its state dict is that of `network`, name by name, so whoever exchanges weights by name (MONAI FL) need not know of it.
    """

    def __init__(self, network: nn.Module, dtype: str = "float32", channels_last: bool = True) -> None:
        super().__init__()
        if not isinstance(network, HybridDiffusionUNet):
            raise ConfigError(f"folded: got a {type(network).__name__}, expected a HybridDiffusionUNet, not wrapped")
        if dtype not in (*DTYPES, "auto"):
            raise ConfigError(f"folded: dtype is {dtype!r}, expected one of auto, {', '.join(DTYPES)}")
        self.network = network
        self.dtype = dtype
        self.channels_last = channels_last
        self._made: tuple[WeightsState, _Steps] | None = None
        self.register_state_dict_post_hook(_named_as_the_network)
        self.register_load_state_dict_pre_hook(_named_as_the_child)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B, K, ...) logits, float32, contiguous.

        Raises:
            ValueError: the size does not divide, as in the network itself.
        """
        self.network.check_size(x)
        plain = x.as_subclass(Tensor) if isinstance(x, MetaTensor) else x  # else, because it would unwrap torch.export's own
        with torch.autocast(x.device.type, enabled=False):
            logits = self._steps()(plain).to(torch.float32, memory_format=torch.contiguous_format)
        return convert_to_dst_type(logits, x, dtype=logits.dtype)[0] if isinstance(x, MetaTensor) else logits

    @torch.no_grad()
    def fixed(self) -> FixedSegmenter:
        """The segmenter with the weights as they are now and nothing else: for `torch.jit.trace` and `torch.onnx.export`."""
        return FixedSegmenter(copy.deepcopy(self._fold()))  # some of its weights are the network's own

    def _steps(self) -> _Steps:
        if torch.compiler.is_exporting():
            # A recorded program cannot compare weights, and must not keep those of before: it folds within itself.
            return self._fold()
        if self._made is None or not self._made[0].holds(self.network):
            self._made = WeightsState(self.network), self._fold()
        return self._made[1]

    def _fold(self) -> _Steps:
        device = next(self.network.parameters()).device
        dtype = fastest_dtype(device) if self.dtype == "auto" else DTYPES[self.dtype]
        if dtype == torch.bfloat16:
            warn_of_slow_bfloat16(device, "--precision float32")
        return _Steps(self.network, Style(self.network.spatial_dims, dtype, self.channels_last))

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles fold anew."""
        return {**self.__dict__, "_made": None}


class FixedSegmenter(nn.Module):
    """A folded network alone: (B, C, X, Y[, Z]) float32 -> (B, K, ...) logits, float32. Made by `FoldedSegmenter.fixed`.

    Its weights are constants of the program that is recorded from it, no parameters.
    """

    def __init__(self, steps: _Steps) -> None:
        super().__init__()
        self.steps = steps

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """The sizes are not checked: a recorded program is for the window that it was recorded with."""
        return self.steps(x).to(torch.float32, memory_format=torch.contiguous_format)


def _named_as_the_network(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Take the child's name, "network.", out of the names of a state dict."""
    for name in [name for name in state if name.startswith(f"{prefix}network.")]:
        state[prefix + name.removeprefix(f"{prefix}network.")] = state.pop(name)


def _named_as_the_child(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Put it in again for loading; names that have it, from before, stay."""
    for name in [name for name in state if name.startswith(prefix) and not name.startswith(f"{prefix}network.")]:
        state[f"{prefix}network.{name.removeprefix(prefix)}"] = state.pop(name)


class _Steps:
    """The folded network itself, for one state of the weights."""

    def __init__(self, network: HybridDiffusionUNet, style: Style) -> None:
        net = cast(Any, network)
        self.style, self.coarse = style, network.stem == "space_to_depth"
        like = next(network.parameters())
        start = get_timestep_embedding(torch.zeros(1, device=like.device), network.block_out_channels[0])
        emb = network.time_embed(start.to(like.dtype))
        if network.num_class_embeds is not None:
            emb = emb + network.class_embedding.weight[network.domain]
        weight, bias = parameters_of(net.conv_in)
        self.first = FoldedConvolution(style, coarse_input_kernel(weight) if self.coarse else weight, bias)
        self.down = [(list(_blocks(b, style, emb)), _downsampling(b.downsampler, style)) for b in net.down_blocks]
        middle = net.middle_block
        self.middle: list[Layer] = [
            FoldedResidual(style, middle.resnet_1, emb),
            FoldedAttention(style, middle.attention),
            FoldedResidual(style, middle.resnet_2, emb),
        ]
        self.up = [(list(_blocks(b, style, emb)), _upsampling(b.upsampler, style)) for b in net.up_blocks]
        self.norm = FoldedNorm(style, net.out.get_submodule("0"))
        weight, bias = parameters_of(net.out.mask)
        if self.coarse:
            weight, bias = coarse_output_kernel(weight), bias.repeat_interleave(FACTOR**style.spatial_dims)
        # In float32 always: bfloat16 logits would be rounded by up to 1/256, which is what decides ties between labels.
        self.last_style = replace(style, dtype=torch.float32)
        self.last = FoldedConvolution(self.last_style, weight, bias)
        refine = net.out.refine
        self.refine = None if refine is None else FoldedRefinement(self.last_style, refine, net.out.detail)

    def __call__(self, x: Tensor) -> Tensor:
        h = self.first(self.style.lay_out(space_to_depth(x) if self.coarse else x))
        h = h.contiguous(memory_format=self.style.layout)  # with one channel in, the layout is ambiguous
        skips = [h]
        for stages, downsampling in self.down:
            for stage in stages:
                h = _through(stage, h)
                skips.append(h)
            if downsampling is not None:
                h = downsampling(h)
                skips.append(h)
        h = _through(self.middle, h)
        for stages, upsampling in self.up:
            for stage in stages:
                h = _through(stage, torch.cat([h, skips.pop()], dim=1))
            if upsampling is not None:
                h = upsampling(h)
        h = self.last_style.lay_out(self.norm(h))
        logits = depth_to_space(self.last(h)) if self.coarse else self.last(h)
        return logits if self.refine is None else self.refine(self.last_style.lay_out(x), h).add_(logits)


def _through(layers: list[Layer], h: Tensor) -> Tensor:
    for layer in layers:
        h = layer(h)
    return h


def _blocks(block: Any, style: Style, emb: Tensor) -> Iterator[list[Layer]]:
    """Each residual block of a level, with the attention after it."""
    attentions = getattr(block, "attentions", [None] * len(block.resnets))
    for resnet, attention in zip(block.resnets, attentions, strict=True):
        after: list[Layer] = [] if attention is None else [FoldedAttention(style, attention)]
        yield [FoldedResidual(style, resnet, emb), *after]


def _downsampling(layer: Any, style: Style) -> Layer | None:
    return None if layer is None else FoldedConvolution(style, *parameters_of(layer.op), stride=2)


def _upsampling(layer: Any, style: Style) -> Layer | None:
    return None if layer is None else FoldedUpsampling(style, layer.get_submodule("postconv"))
