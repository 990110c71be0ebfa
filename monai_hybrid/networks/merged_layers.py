"""Layers of MONAI that give the same with less work: upsampling with its convolution, two convolutions of one input."""

from __future__ import annotations

import torch
from monai.networks.nets.diffusion_model_unet import WrappedUpsample
from torch import Tensor, nn
from torch.nn import functional as F


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
