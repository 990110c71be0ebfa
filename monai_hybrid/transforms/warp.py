"""Random affine maps, drawn a sample and applied a batch at a time where the batch lies: on the GPU, or in one go on a CPU."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms import RandAffined
from torch import Tensor
from torch.nn import functional as F

WARP = "warp"


class DrawAffined(RandAffined):
    """MONAI's RandAffined that only draws: its matrix goes under "warp", images and labels stay as they are for `warp_batch`.

    The same seed draws the same map as MONAI's. A map that is not done (`prob`) is the identity.
    """

    def __call__(self, data: Mapping[Hashable, Any], lazy: bool | None = None) -> dict[Hashable, Any]:
        """Add "warp": (D + 1, D + 1) float32, from a voxel of the result to the voxel it is read from, both from the centre."""
        del lazy
        d = dict(data)
        size = d[self.first_key(d)].shape[1:]
        self.randomize(None)
        self.rand_affine.randomize()
        matrix = torch.eye(len(size) + 1)
        if self._do_transform:
            grid = self.rand_affine.rand_affine_grid  # draws once more, as MONAI's own call does
            grid(size, lazy=True)
            matrix = torch.as_tensor(grid.get_transformation_matrix()).float()
        d[WARP] = matrix
        return d


def warp_batch(image: Tensor, label: Tensor, matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Resample each sample by its own matrix; outside the image its nearest edge counts.

    Args:
        image: (B, C, X, Y[, Z]) float32, interpolated linearly.
        label: (B, 1, X, Y[, Z]) float32 class index, nearest neighbour.
        matrices: (B, D + 1, D + 1) as `DrawAffined` gives them, on any device.

    Returns:
        both, of the same sizes and types.
    """
    size = image.shape[2:]
    dims = len(size)
    half = torch.tensor(
        [max(2, n) / 2 for n in size]
    )  # torch's coordinates run from -1 to 1, and from the last axis to the first
    linear = matrices[:, :dims, :dims] * half / half[:, None]
    shift = matrices[:, :dims, dims] / half
    theta = torch.cat([linear.flip(1, 2), shift.flip(1)[..., None]], dim=2).to(image.device, torch.float32)
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)

    def sampled(x: Tensor, mode: str) -> Tensor:
        return F.grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=False)

    return sampled(image, "bilinear"), sampled(label, "nearest")
