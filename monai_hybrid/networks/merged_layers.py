"""Layers of MONAI that give the same with less work on a CPU: upsampling with its convolution, two convolutions of one input,
convolutions of kernel 1, attention over few positions."""

from __future__ import annotations

import torch
from monai.networks.blocks import Convolution, SpatialAttentionBlock
from monai.networks.blocks.selfattention import SABlock
from monai.networks.nets.diffusion_model_unet import DiffusionUNetResnetBlock, WrappedUpsample
from torch import Tensor, nn
from torch.nn import functional as F

# Positions above which attention stays fused: the matrix of all pairs, in bfloat16, has then 2 MB an image and head.
FEW_POSITIONS = 1024


def doubling_kernel(weight: Tensor) -> Tensor:
    """The kernel of a transposed convolution that equals nearest-neighbour doubling and a 3-wide convolution after it.

    Along an axis both fine voxels of coarse voxel o read o; the even one also o - 1 with the kernel's first tap, the odd
    one o + 1 with its last. The taps that fall on one coarse voxel are added: 8 (2D: 4) products a voxel in place of 27 (9).

    Args:
        weight: (F, C, 3, 3[, 3]), for padding 1.

    Returns:
        (C, F, 4, 4[, 4]), for stride 2 and padding 1; gradients flow back to `weight`.
    """
    for axis in range(2, weight.ndim):
        first, middle, last = weight.unbind(axis)
        weight = torch.stack([last, middle + last, first + middle, first], axis)
    return weight.transpose(0, 1)


class DoublingUpsample(nn.Module):
    """MONAI's upsampling with the convolution after it: on a CPU as one transposed convolution, elsewhere as it was.

    Its children keep their names, so state dicts are MONAI's.
    """

    def __init__(self, stock: WrappedUpsample) -> None:
        super().__init__()
        for name, child in stock.named_children():
            self.add_module(name, child)

    def forward(self, x: Tensor, emb: Tensor | None = None) -> Tensor:
        """(B, F, X, Y[, Z]) -> (B, F, 2X, 2Y[, 2Z]); `emb` is not read, as in MONAI."""
        del emb
        convolution = self.get_submodule("postconv.conv")
        if x.device.type != "cpu":
            return self.get_submodule("postconv")(self.get_submodule("upsample_non_trainable")(x))
        transposed = F.conv_transpose2d if x.ndim == 4 else F.conv_transpose3d
        return transposed(x, doubling_kernel(convolution.weight), convolution.bias, stride=2, padding=1)  # type: ignore[arg-type]


class PointwiseProduct(nn.Module):
    """MONAI's convolution of kernel 1: on a CPU as a matrix product an image, elsewhere as it was.

    oneDNN's convolution takes longer, forward and backward. Its child keeps its name.
    """

    def __init__(self, stock: Convolution) -> None:
        super().__init__()
        self.conv = stock.get_submodule("conv")

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, X, Y[, Z]) -> (B, F, X, Y[, Z])."""
        if x.device.type != "cpu":
            out: Tensor = self.conv(x)
            return out
        weights = self.conv.weight.flatten(1).expand(x.shape[0], -1, -1)
        biases = self.conv.bias[:, None].expand(x.shape[0], -1, 1)
        return torch.baddbmm(biases, weights, x.flatten(2)).unflatten(2, x.shape[2:])


class ShortAttention(nn.Module):
    """MONAI's self-attention: queries, keys and values from one product; on a CPU in bfloat16 over few positions not fused.

    The fused form saves the matrix of all pairs of positions, but its backward pass in bfloat16 takes longer than plain
    products where that matrix is small. In float32 it is the faster one, and stays. Children keep their names.
    """

    def __init__(self, stock: SABlock) -> None:
        super().__init__()
        self.out_proj, self.to_q, self.to_k, self.to_v = stock.out_proj, stock.to_q, stock.to_k, stock.to_v
        self.num_heads, self.dim_head, self.scale = stock.num_heads, stock.dim_head, stock.scale

    def forward(self, x: Tensor) -> Tensor:
        """(B, positions, F) -> (B, positions, F)."""
        layers = (self.to_q, self.to_k, self.to_v)
        weight, bias = (torch.cat([getattr(layer, name) for layer in layers]) for name in ("weight", "bias"))
        q, k, v = F.linear(x, weight, bias).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        if q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.shape[2] <= FEW_POSITIONS:
            pairs = torch.softmax((q * self.scale) @ k.transpose(-1, -2), -1, dtype=q.dtype)
            mixed = pairs @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


def merge_layers(network: nn.Module) -> None:
    """Put the layers of this module where MONAI's stand in a DiffusionModelUNet; the head has its own (`convolve_once`)."""
    for module in list(network.modules()):
        if isinstance(module, DiffusionUNetResnetBlock) and isinstance(module.skip_connection, Convolution):
            module.skip_connection = PointwiseProduct(module.skip_connection)
        elif isinstance(module, SpatialAttentionBlock):
            module.attn = ShortAttention(module.attn)
        elif isinstance(getattr(module, "upsampler", None), WrappedUpsample):
            module.upsampler = DoublingUpsample(module.upsampler)


def convolve_once(x: Tensor, first: nn.Module, second: nn.Module) -> Tensor:
    """What two 3-wide convolutions of MONAI (`Convolution`) say of one input, side by side, from one convolution.

    CPUs compute 16 output channels at a time: 1 and 3 cost as much apart as twice 16, together as 16 once.

    Args:
        x: (B, F, X, Y[, Z]).
        first, second: of F inputs and C and K outputs, padding 1.

    Returns:
        (B, C + K, X, Y[, Z]).
    """
    parts = [layer.get_submodule("conv") for layer in (first, second)]
    weight, bias = (torch.cat([getattr(part, name) for part in parts]) for name in ("weight", "bias"))
    return (torch.conv2d if x.ndim == 4 else torch.conv3d)(x, weight, bias, padding=1)
