"""A thin layer on the full grid, after a body that works at half resolution: it sees the image's own voxels again.

The body of a network with the coarse stem says K logits and R features of each voxel, from features of half the resolution.
This layer adds to the logits what it reads in those features and in the image around the voxel:

    h = image(x) + detail(features)
    logits + rows(silu(h + middle(silu(h))))

It works on R channels only, so it costs a fraction of a level of the body at full resolution.
"""

from __future__ import annotations

from typing import cast

import torch
from monai.networks.blocks import Convolution
from monai.networks.nets.diffusion_model_unet import zero_module
from torch import Tensor, nn
from torch.nn import functional as F


class Refinement(nn.Module):
    """See above. Its last layer starts at zero, so that a network with it starts as one without.

    Image channels and labels have axes of their own, as in the first and the last layer of the network: transfer by name
    follows them in the same way.

    Args:
        spatial_dims: 2 or 3.
        in_channels: C, image channels.
        width: R, features a voxel.
        num_classes: K, mask channels.
    """

    def __init__(self, spatial_dims: int, in_channels: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.image = Convolution(spatial_dims, in_channels, width, kernel_size=3, padding=1, conv_only=True)
        self.detail = Convolution(spatial_dims, width, width, kernel_size=3, padding=1, conv_only=True)
        self.middle = Convolution(spatial_dims, width, width, kernel_size=3, padding=1, conv_only=True)
        self.rows = zero_module(Convolution(spatial_dims, width, num_classes, kernel_size=3, padding=1, conv_only=True))
        self.spatial_dims, self.width = spatial_dims, width

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """(B, C, ...) image and (B, R, ...) features -> (B, K, ...), to be added to the logits."""
        weight, bias = self.first()
        convolve = torch.conv2d if self.spatial_dims == 2 else torch.conv3d
        h = convolve(torch.cat([x, features], dim=1), weight, bias, padding=1)
        change: Tensor = self.rows(F.silu(h + self.middle(F.silu(h))))
        return change

    def first(self) -> tuple[Tensor, Tensor]:
        """Weight (R, C + R, ...) and bias (R,) of `image` and `detail` as one convolution of both inputs side by side."""
        image, detail = (cast(nn.Conv3d, part.get_submodule("conv")) for part in (self.image, self.detail))
        assert image.bias is not None and detail.bias is not None
        return torch.cat([image.weight, detail.weight], dim=1), image.bias + detail.bias
