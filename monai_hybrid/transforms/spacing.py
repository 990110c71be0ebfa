"""Resampling that leaves the other entries of a case alone, and on a coarser grid takes shares instead of single voxels."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing, to_affine_nd
from monai.transforms import Spacingd
from monai.transforms.lazy.functional import apply_pending

from data_prep.geometry import largest_cosine
from data_prep.resampling import AREA, SAMPLE
from monai_hybrid.errors import ConfigError
from monai_hybrid.transforms.area import AreaResample
from monai_hybrid.transforms.fits import refuse_too_large

SHEAR = float(np.sin(np.deg2rad(1)))


class SafeSpacingd(Spacingd):
    """`Spacingd`, but keys such as "image_path" survive, and a coarser grid need not pick single voxels.

    Since MONAI 1.5 Spacingd treats every key that begins with "<key>_" as a metadata dictionary and calls `.update` on it, so a
    string there (MONAI Label always adds "image_path") raises. The strings are set aside during the call.

    Args:
        resampling: "sample" is MONAI's own: linear or nearest neighbour at the new centres, which at a whole factor picks every
            n-th voxel with all of its noise. "area" averages over each new voxel; keys of mode "nearest" are labels and take
            the class that fills most of it, see `data_prep.resampling.coarse_label`. A case whose axes are more than a degree
            off perpendicular is sampled all the same, because MONAI straightens it.
        args, kwargs: of `Spacingd`. With "area", `pixdim` and `mode` alone count.

    Raises:
        ConfigError: another `resampling`.
        DataError: in a call, an image that is larger than the machine's memory on the new grid.
    """

    def __init__(self, *args: Any, resampling: str = SAMPLE, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if resampling not in (AREA, SAMPLE):
            raise ConfigError(f"resampling: got {resampling!r}, expected {AREA} or {SAMPLE}")
        self.resampling, self.by_area = resampling, AreaResample()

    def __call__(self, data: Mapping[Hashable, Any], lazy: bool | None = None) -> dict[Hashable, Any]:
        d = dict(data)
        for key in self.key_iterator(d):
            self._refuse_too_large(d[key])
        if self.resampling == AREA and not any(_is_sheared(d[key]) for key in self.key_iterator(d)):
            return self._by_area(d)
        prefixes = tuple(f"{key}_" for key in self.keys)
        aside = {k: d.pop(k) for k in list(d) if str(k).startswith(prefixes) and not isinstance(d[k], dict)}
        return {**super().__call__(d, lazy=lazy), **aside}

    def _refuse_too_large(self, image: Any) -> None:
        """Before memory is taken; an array that knows no grid of its own is let through."""
        if isinstance(image, MetaTensor):
            own = affine_to_spacing(np.asarray(to_affine_nd(image.ndim - 1, image.peek_pending_affine())), image.ndim - 1)
            shape = (len(image), *image.peek_pending_shape())
            refuse_too_large(str(image.meta.get("filename_or_obj", "an image")), shape, own, self._target(own))

    def _by_area(self, d: dict[Hashable, Any]) -> dict[Hashable, Any]:
        """Always done at once. A label on the grid of its image gets the image's new size, whatever their affines round to."""
        first: tuple[Any, Any, tuple[int, ...]] | None = None  # shape, edges and new size of the first key
        for key, mode in self.key_iterator(d, self.mode):
            image = apply_pending(d[key])[0] if isinstance(d[key], MetaTensor) else MetaTensor(d[key])
            own = affine_to_spacing(image.affine, image.ndim - 1)
            alike = first is not None and first[0] == image.shape[1:] and np.allclose(first[1], own, atol=1e-3)
            d[key] = self.by_area(image, self._target(own), str(mode), first[2] if alike and first else None)
            first = first or (image.shape[1:], own, tuple(d[key].shape[1:]))
        return d

    def _target(self, own: Any) -> list[float]:
        """Edges of the new voxels; the last number counts for the axes beyond, and 0 or less keeps the image's own."""
        wanted = self.spacing_transform.pixdim[: len(own)]
        wanted = np.append(wanted, [wanted[-1]] * (len(own) - len(wanted)))
        return [float(edge if edge > 0 else old) for edge, old in zip(wanted, own, strict=True)]

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Back to the grid of the file: linear for images, nearest neighbour for labels."""
        d = dict(data)
        for key in self.key_iterator(d):
            by_area = d[key].applied_operations[-1]["class"] == AreaResample.__name__
            d[key] = (self.by_area if by_area else self.spacing_transform).inverse(d[key])
        return d


def _is_sheared(image: Any) -> bool:
    """Whether the axes of a (C, X, Y[, Z]) image are farther from perpendicular than `check` lets pass."""
    if not isinstance(image, MetaTensor):
        return False
    return largest_cosine(np.asarray(to_affine_nd(3, image.peek_pending_affine()), dtype=float)) > SHEAR
