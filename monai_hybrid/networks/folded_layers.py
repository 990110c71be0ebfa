"""The layers of a folded network: plain functions with fixed weights, made for speed and for t = 0 only.

All take and return (B, C, X, Y[, Z]) in the style's number type and memory layout. Weights are prepared once: converted, laid
out, and merged with what is constant around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from monai.networks.blocks import SpatialAttentionBlock
from monai.networks.nets.diffusion_model_unet import DiffusionUNetResnetBlock
from torch import Tensor, nn
from torch.nn import functional as F

from monai_hybrid.networks.merged_layers import doubling_kernel
from monai_hybrid.networks.refinement import Refinement
from monai_hybrid.networks.subpixel import depth_to_space


@dataclass(frozen=True)
class Style:
    """Number type and memory layout of weights and features."""

    spatial_dims: int
    dtype: torch.dtype
    channels_last: bool

    @property
    def layout(self) -> torch.memory_format:
        """The order of axes in memory."""
        if not self.channels_last:
            return torch.contiguous_format
        return torch.channels_last if self.spatial_dims == 2 else torch.channels_last_3d

    def lay_out(self, tensor: Tensor) -> Tensor:
        """A kernel (F, C, X, Y[, Z]) or an image (B, C, X, Y[, Z]), converted and laid out."""
        return tensor.detach().to(self.dtype).contiguous(memory_format=self.layout)


class FoldedConvolution:
    """A convolution (B, C, X, Y[, Z]) -> (B, F, ...), `constant` (F,) added to what it gives."""

    def __init__(
        self, style: Style, weight: Tensor, bias: Tensor, stride: int = 1, padding: int = 1, constant: Tensor | None = None
    ) -> None:
        self.weight = style.lay_out(weight)
        self.bias = (bias if constant is None else bias + constant).detach().to(style.dtype)
        self.stride, self.padding = stride, padding
        self.function = torch.conv2d if style.spatial_dims == 2 else torch.conv3d

    def __call__(self, x: Tensor) -> Tensor:
        # An exported program runs elsewhere, where oneDNN may not be; and torch.export knows no shape for its function.
        recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()
        if not recorded and len(x) == 1 and x.dtype == torch.float32 and x.device.type == "cpu" and _has_onednn():
            return _by_onednn(x, self.weight, self.bias, self.stride, self.padding)
        return self.function(x, self.weight, self.bias, self.stride, self.padding)


def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available())


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    """The convolution as PyTorch computes it for two images and more.

    One small float32 image alone it gives to a kernel of its own, and a window of 24 x 28 x 24 takes 2.8 times as long.
    """
    axes = x.ndim - 2
    out: Tensor = torch.mkldnn_convolution(x, weight, bias, [padding] * axes, [stride] * axes, [1] * axes, 1)
    return out


class FoldedPointwise:
    """A convolution of kernel 1, (B, C, ...) -> (B, F, ...).

    With channels last it is a matrix product, which CPUs do up to 4 times faster.
    """

    def __init__(self, style: Style, layer: nn.Module) -> None:
        weight, bias = parameters_of(layer)
        self.convolution = None if style.channels_last else FoldedConvolution(style, weight, bias, padding=0)
        self.weight, self.bias = weight.detach().flatten(1).to(style.dtype), bias.detach().to(style.dtype)

    def __call__(self, x: Tensor) -> Tensor:
        if self.convolution is not None:
            return self.convolution(x)
        return F.linear(x.movedim(1, -1), self.weight, self.bias).movedim(-1, 1)


class FoldedUpsampling:
    """Nearest-neighbour doubling, then a 3-wide convolution: as one transposed convolution (`doubling_kernel`).

    (B, C, X, Y[, Z]) -> (B, F, 2 X, 2 Y[, 2 Z]).
    """

    def __init__(self, style: Style, layer: nn.Module) -> None:
        weight, self.bias = parameters_of(layer)
        self.weight = style.lay_out(doubling_kernel(weight.detach().double()))
        self.bias = self.bias.detach().to(style.dtype)
        self.function = F.conv_transpose2d if style.spatial_dims == 2 else F.conv_transpose3d

    def __call__(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight, self.bias, stride=2, padding=1)


class FoldedNorm:
    """Group normalisation of (B, C, ...), then SiLU in place if `activate`. Statistics and factors stay float32 on the CPU."""

    def __init__(self, style: Style, norm: nn.GroupNorm, activate: bool = True) -> None:
        dtype = torch.float32 if norm.weight.device.type == "cpu" and style.dtype == torch.bfloat16 else style.dtype
        self.weight, self.bias = norm.weight.detach().to(dtype), norm.bias.detach().to(dtype)
        self.groups, self.eps, self.activate = norm.num_groups, norm.eps, activate

    def __call__(self, x: Tensor) -> Tensor:
        h = F.group_norm(x, self.groups, self.weight, self.bias, self.eps)
        return F.silu(h, inplace=True) if self.activate else h


class FoldedResidual:
    """A residual block (B, C, ...) -> (B, F, ...) whose time path is a constant in the first convolution's bias."""

    def __init__(self, style: Style, block: DiffusionUNetResnetBlock, embedding: Tensor) -> None:
        constant = block.time_emb_proj(F.silu(embedding))[0]
        self.norm1, self.norm2 = FoldedNorm(style, block.norm1), FoldedNorm(style, block.norm2)
        self.conv1 = FoldedConvolution(style, *parameters_of(block.conv1), constant=constant)
        self.conv2 = FoldedConvolution(style, *parameters_of(block.conv2))
        same = isinstance(block.skip_connection, nn.Identity)
        self.skip = None if same else FoldedPointwise(style, block.skip_connection)

    def __call__(self, x: Tensor) -> Tensor:
        h = self.conv2(self.norm2(self.conv1(self.norm1(x))))
        return h.add_(x if self.skip is None else self.skip(x))


class FoldedAttention:
    """Self-attention over all positions of (B, C, ...), fused, with one projection for queries, keys and values."""

    def __init__(self, style: Style, block: SpatialAttentionBlock) -> None:
        attention = block.attn
        self.norm = FoldedNorm(style, block.norm, activate=False)
        inputs = [attention.to_q, attention.to_k, attention.to_v]
        self.weight = torch.cat([layer.weight for layer in inputs]).detach().to(style.dtype)
        self.bias = torch.cat([layer.bias for layer in inputs]).detach().to(style.dtype)
        self.out_weight = attention.out_proj.weight.detach().to(style.dtype)
        self.out_bias = attention.out_proj.bias.detach().to(style.dtype)
        self.heads, self.scale = attention.num_heads, attention.scale

    def __call__(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = F.linear(tokens, self.weight, self.bias).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, scale=self.scale).transpose(1, 2).flatten(2)
        change = F.linear(mixed, self.out_weight, self.out_bias).transpose(1, 2).reshape(x.shape)
        return x + change


class FoldedRefinement:
    """`Refinement`: image (B, C, 2X, ...) and coarse features (B, F, X, ...) -> (B, K, 2X, ...), to be added to the logits."""

    def __init__(self, style: Style, layer: Refinement, detail: nn.Module) -> None:
        self.detail = FoldedPointwise(style, detail)
        parts = (layer.first(), parameters_of(layer.middle), parameters_of(layer.rows))
        self.first, self.middle, self.rows = (FoldedConvolution(style, *part) for part in parts)

    def __call__(self, x: Tensor, h: Tensor) -> Tensor:
        features = depth_to_space(self.detail(h))
        h = self.first(torch.cat([x, features], dim=1))
        return self.rows(F.silu(self.middle(F.silu(h)).add_(h), inplace=True))


def parameters_of(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight (F, C, X, Y[, Z]) and bias (F,) of MONAI's Convolution (kept as its child `conv`), as it computes with them.

    Read as attributes: a parametrised layer makes its weight anew from parameters of other names.
    """
    convolution = layer.get_submodule("conv")
    return cast(Tensor, convolution.weight), cast(Tensor, convolution.bias)
