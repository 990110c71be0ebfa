"""Resampling by the share of each old voxel in the new one, on a grid with the same centre as the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing, to_affine_nd
from monai.transforms import SpatialResample

from data_prep.resampling import centres, coarse_label, forth, new_size, resampled


class AreaResample(SpatialResample):
    """MONAI's `SpatialResample` for grids that share their axes; the way back is MONAI's, and so is the record of it."""

    def __call__(
        self, image: MetaTensor, spacing: Sequence[float], mode: str = "bilinear", size: Sequence[int] | None = None
    ) -> MetaTensor:
        """Resample one image or label.

        Args:
            image: (C, X, Y[, Z]), any dtype.
            spacing: edges of the new voxels, in the unit of the affine.
            mode: "nearest" for a label (1, X, Y[, Z]) of whole numbers, anything else for grey values.
            size: of the new grid; None: the image's extent over `spacing`, rounded.

        Returns:
            (C, X', Y'[, Z']) float32 with its affine.
        """
        shape = tuple(int(n) for n in image.shape[1:])
        dims = len(shape)
        affine = to_affine_nd(dims, np.asarray(image.affine, dtype=float))
        own = affine_to_spacing(affine, dims)
        factors = [float(new / old) for new, old in zip(spacing, own, strict=True)]
        sizes = [int(n) for n in size] if size is not None else [new_size(n, f) for n, f in zip(shape, factors, strict=True)]
        values = np.asarray(image.as_tensor().cpu())
        if mode == "nearest":
            new = np.stack([coarse_label(channel, factors, sizes) for channel in values])
        else:
            new = resampled(values, forth(shape, factors, sizes))
        out = MetaTensor(torch.from_numpy(new).to(image.device, torch.float32))
        return out.copy_meta_from(self._record(image, affine, mode, _voxel_map(shape, sizes, factors), sizes))

    def _record(
        self, image: MetaTensor, affine: np.ndarray, mode: str, voxel_map: np.ndarray, sizes: Sequence[int]
    ) -> MetaTensor:
        """The metadata after the step, with what `SpatialResample.inverse` needs."""
        extra = {
            "dtype": "float64",
            "mode": mode,
            "padding_mode": "border",
            "align_corners": False,
            "src_affine": torch.from_numpy(affine),
        }
        return self.track_transform_meta(
            image,
            sp_size=sizes,
            affine=torch.from_numpy(voxel_map),
            extra_info=extra,
            orig_size=tuple(image.shape[1:]),
            transform_info=self.get_transform_info(),
        )


def _voxel_map(shape: Sequence[int], sizes: Sequence[int], factors: Sequence[float]) -> np.ndarray:
    """(D + 1, D + 1) float64, from a voxel of the new grid to the old one's."""
    matrix = np.eye(len(shape) + 1)
    for axis, (length, size, factor) in enumerate(zip(shape, sizes, factors, strict=True)):
        places = centres(length, size, factor)
        matrix[axis, -1] = places[0]
        matrix[axis, axis] = places[1] - places[0] if size > 1 else factor
    return matrix
