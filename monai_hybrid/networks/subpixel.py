"""First and last layers of a network whose body works at half resolution: space to depth, depth to space.

Both have kernels 6 wide, kept under the names and in the axis order of the plain layers (output channels first, image channels
or labels on an axis of their own), so that transfer by name needs no rule for them. They are computed as 3-wide convolutions
on the coarse grid: tap 2 i + a belongs to coarse neighbour i = 0..2 and to voxel a = 0..1 of its block. Depth to space: W. Shi
et al., arXiv 1609.05158.
"""

from __future__ import annotations

from itertools import chain

import torch
from monai.networks.layers.factories import Conv
from torch import Tensor, nn

FACTOR = 2  # coarse voxels are this many voxels wide
TAPS = 3  # width of the kernel on the coarse grid


def space_to_depth(x: Tensor) -> Tensor:
    """(B, C, 2X, 2Y[, 2Z]) -> (B, C * 2^d, X, Y[, Z]); within a channel the last axis varies fastest."""
    dims = x.ndim - 2
    split = x.reshape(*x.shape[:2], *chain.from_iterable((n // FACTOR, FACTOR) for n in x.shape[2:]))
    coarse, fine = range(2, 2 + 2 * dims, 2), range(3, 3 + 2 * dims, 2)
    return split.permute(0, 1, *fine, *coarse).flatten(1, 1 + dims)


def depth_to_space(x: Tensor) -> Tensor:
    """(B, C * 2^d, X, Y[, Z]) -> (B, C, 2X, 2Y[, 2Z]), the inverse of `space_to_depth`."""
    dims = x.ndim - 2
    split = x.unflatten(1, (-1, *[FACTOR] * dims))
    order = chain.from_iterable((2 + dims + axis, 2 + axis) for axis in range(dims))
    return split.permute(0, 1, *order).reshape(x.shape[0], -1, *(FACTOR * n for n in x.shape[2:]))


def coarse_input_kernel(weight: Tensor) -> Tensor:
    """(F, C, 6, 6[, 6]), stride 2, padding 2 -> (F, C * 2^d, 3, 3[, 3]) for the input of `space_to_depth`."""
    dims = weight.ndim - 2
    split = weight.reshape(*weight.shape[:2], *[TAPS, FACTOR] * dims)
    return split.permute(0, 1, *range(3, 3 + 2 * dims, 2), *range(2, 2 + 2 * dims, 2)).flatten(1, 1 + dims)


def coarse_output_kernel(weight: Tensor) -> Tensor:
    """(K, F, 6, 6[, 6]) -> (K * 2^d, F, 3, 3[, 3]), whose output is for `depth_to_space`."""
    dims = weight.ndim - 2
    split = weight.reshape(*weight.shape[:2], *[TAPS, FACTOR] * dims)
    return split.permute(0, *range(3, 3 + 2 * dims, 2), 1, *range(2, 2 + 2 * dims, 2)).flatten(0, dims)


class _Strided(nn.Module):
    """Holds the kernel as `conv.weight`, where MONAI's Convolution has it."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv: nn.Conv2d | nn.Conv3d = Conv[Conv.CONV, spatial_dims](
            in_channels, out_channels, FACTOR * TAPS, FACTOR, FACTOR
        )
        self.spatial_dims = spatial_dims

    def _convolve(self, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        return (torch.conv2d if self.spatial_dims == 2 else torch.conv3d)(x, kernel, bias, padding=1)


class SpaceToDepthConvolution(_Strided):
    """(B, C, 2X, ...) -> (B, F, X, ...): a strided first layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Equal to `self.conv(x)`."""
        return self._convolve(space_to_depth(x), coarse_input_kernel(self.conv.weight), self.conv.bias)


class DepthToSpaceConvolution(_Strided):
    """(B, F, X, ...) -> (B, K, 2X, ...): each voxel reads the 3 x 3 (x 3) coarse voxels around its own, with its own kernel."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__(spatial_dims, in_channels, out_channels)
        with torch.no_grad():  # PyTorch's start for the kernel that is used, which has 2^d times fewer taps
            for parameter in self.conv.parameters():
                parameter.mul_(FACTOR ** (spatial_dims / 2))

    def forward(self, x: Tensor) -> Tensor:
        """One 3-wide convolution on the coarse grid, 2^d outputs a label."""
        assert self.conv.bias is not None
        bias = self.conv.bias.repeat_interleave(FACTOR**self.spatial_dims)
        return depth_to_space(self._convolve(x, coarse_output_kernel(self.conv.weight), bias))


class DepthToSpacePointwise(nn.Module):
    """(B, F, X, ...) -> (B, R, 2X, ...): each voxel reads the coarse voxel that it lies in, with its own R x F matrix."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv: nn.Conv2d | nn.Conv3d = Conv[Conv.CONV, spatial_dims](in_channels, out_channels * FACTOR**spatial_dims, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Channels of a voxel lie side by side, as `depth_to_space` takes them."""
        return depth_to_space(self.conv(x))
