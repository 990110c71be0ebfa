"""Random maps of image and label: drawn as MONAI draws them, joined to one, and applied at once, to a sample or to a batch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.networks.layers.convutils import gaussian_1d
from monai.transforms import CenterSpatialCrop, MapTransform, Rand2DElasticd, Rand3DElasticd, RandAffined
from monai.transforms.utils import create_grid
from torch import Tensor
from torch.nn import functional as F

WARP, DISPLACEMENT = "warp", "displacement"  # entries of a sample: an affine map, and what an elastic one adds to it
CUT = 3.0  # standard deviations, at which MONAI cuts the Gaussian of its Rand3DElasticd


class DrawAffined(RandAffined):
    """MONAI's RandAffined that only draws: its matrix goes under "warp", for `Warpd` or `warp_batch`; nothing is resampled yet.

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


class Draw2DElasticd(Rand2DElasticd):
    """MONAI's Rand2DElasticd that only draws: its displacements go under "displacement", for `Warpd`.

    The same seed draws the same map as MONAI's. A map that is not done (`prob`) adds no entry. Affine ranges are not read.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add "displacement": (2, X, Y) float32 in pixels, from a pixel of the result to the one it is read from."""
        d = dict(data)
        size = tuple(d[self.first_key(d)].shape[1:])
        self.randomize(None)
        self.rand_2d_elastic.randomize(size)
        if self._do_transform:
            control = torch.as_tensor(self.rand_2d_elastic.deform_grid(spatial_size=size))
            d[DISPLACEMENT] = _between(control, self.rand_2d_elastic.deform_grid.spacing, size)
        return d


class Draw3DElasticd(Rand3DElasticd):
    """MONAI's Rand3DElasticd that only draws: its displacements go under "displacement", for `Warpd`.

    The same seed draws the same map as MONAI's. A map that is not done (`prob`) adds no entry. Affine ranges are not read.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add "displacement": (3, X, Y, Z) float32 in voxels, from a voxel of the result to the one it is read from."""
        d = dict(data)
        size = tuple(d[self.first_key(d)].shape[1:])
        self.randomize(None)
        elastic = self.rand_3d_elastic
        elastic.randomize(size)
        if self._do_transform:
            d[DISPLACEMENT] = elastic.magnitude * _smoothed(torch.as_tensor(elastic.rand_offset), elastic.sigma)
        return d


class Warpd(MapTransform):
    """Apply what `DrawAffined` and `Draw2DElasticd` or `Draw3DElasticd` drew, in one resampling in place of two.

    The image is interpolated linearly, the label by its nearest voxel; outside the patch its nearest edge counts. A sample for
    which nothing was drawn stays as it is.

    Args:
        keys: the image (C, X, Y[, Z]) and the label (1, X, Y[, Z]), float32, of one size.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample without the entries of the maps."""
        d = dict(data)
        matrix, displacement = d.pop(WARP), d.pop(DISPLACEMENT, None)
        if displacement is None and torch.equal(matrix, torch.eye(len(matrix))):
            return d
        image, label = self.keys
        moved = None if displacement is None else displacement[None]
        warped = warp_batch(d[image][None], d[label][None], matrix[None], moved)
        d[image], d[label] = (x[0] for x in warped)
        return d


def warp_batch(image: Tensor, label: Tensor, matrices: Tensor, displacements: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Resample each sample by its own map; outside the image its nearest edge counts.

    Args:
        image: (B, C, X, Y[, Z]) float32, interpolated linearly.
        label: (B, 1, X, Y[, Z]) float32 class index, nearest neighbour.
        matrices: (B, D + 1, D + 1) as `DrawAffined` gives them, on any device.
        displacements: (B, D, X, Y[, Z]) in voxels; a voxel is moved by them first, and by its matrix then.

    Returns:
        both, of the same sizes and types.
    """
    size = image.shape[2:]
    dims = len(size)
    half = torch.tensor(
        [max(2, n) / 2 for n in size]
    )  # torch's coordinates run from -1 to 1, and from the last axis to the first
    linear = matrices[:, :dims, :dims] / half[:, None]  # from voxels to torch's coordinates
    shift = matrices[:, :dims, dims] / half
    theta = torch.cat([(linear * half).flip(1, 2), shift.flip(1)[..., None]], dim=2).to(image.device, torch.float32)
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)
    if displacements is not None:
        grid = grid + torch.einsum("bij,bj...->b...i", linear.flip(1).to(displacements), displacements).to(grid)

    def sampled(x: Tensor, mode: str) -> Tensor:
        return F.grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=False)

    return sampled(image, "bilinear"), sampled(label, "nearest")


def _between(control: Tensor, spacing: tuple[float, float], size: tuple[int, ...]) -> Tensor:
    """Displacements (2, X, Y) by a grid of control points (3, ., .), interpolated as MONAI's Rand2DElasticd does."""
    fine = F.interpolate(
        control[None, :2], scale_factor=list(spacing), recompute_scale_factor=True, mode="bicubic", align_corners=False
    )
    inside = CenterSpatialCrop(size).compute_slices(fine.shape[2:])
    own = torch.as_tensor(create_grid(spatial_size=size, homogeneous=False, backend="torch"))
    return (fine[0][(slice(None), *inside)] - own).float()


def _smoothed(offsets: Tensor, sigma: float) -> Tensor:
    """Offsets (3, X, Y, Z), smoothed along every axis by MONAI's Gaussian; outside they are 0.

    A matrix an axis takes a tenth of the time of MONAI's convolutions at the sizes of patches.
    """
    kernel = gaussian_1d(torch.tensor(sigma), truncated=CUT).to(offsets)
    tail = len(kernel) // 2

    def matrix(n: int) -> Tensor:
        apart = torch.arange(n)[None] - torch.arange(n)[:, None]
        return torch.where(apart.abs() <= tail, kernel[(apart + tail).clamp(0, 2 * tail)], kernel.new_zeros(()))

    for axis, n in enumerate(offsets.shape[1:], start=1):
        offsets = torch.tensordot(matrix(n), offsets, dims=([1], [axis])).movedim(0, axis)
    return offsets
