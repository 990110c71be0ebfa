"""Labels with voxels that nobody annotated (-1): padding, where patches may be centred, how a validation leaves them out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms import AsDiscreted, FgBgToIndicesd, MapTransform, SpatialPad
from torch import Tensor

from data_prep.ignoring import IGNORED
from monai_hybrid.transforms.classes import IGNORE_VALUE


class PadLabeld(MapTransform):
    """MONAI's `SpatialPadd` for labels, which asks each case what lies beyond its image.

    Background; or nothing that anybody annotated (-1), where the case has an "ignore_value". Cases of several data sets may
    be trained together, so that no one value is right for all.

    Args:
        keys: labels, (1, X, Y[, Z]) class index each.
        spatial_size: the least size of each axis, voxels.
    """

    def __init__(self, keys: Any, spatial_size: Sequence[int]) -> None:
        super().__init__(keys)
        self.pad = SpatialPad(spatial_size, mode="constant")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Pads each label on both sides, as MONAI does."""
        d = dict(data)
        beyond = 0 if d.get(IGNORE_VALUE) is None else IGNORED
        for key in self.key_iterator(d):
            d[key] = self.pad(d[key], value=beyond)
        return d


class AnnotatedIndicesd(FgBgToIndicesd):
    """MONAI's `FgBgToIndicesd` that lists annotated voxels alone, so that a patch is centred at one.

    Where resampling has left no annotated voxel, "has_label" becomes 0 and every voxel may be a centre.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """`data[key]` is (1, X, Y[, Z]) class index; adds the flat indices of foreground and background."""
        d = dict(data)
        for key in self.key_iterator(d):
            annotated = torch.as_tensor(d[key]) != IGNORED
            if bool(annotated.all()):
                d = super().__call__(d)
            elif bool(annotated.any()):
                flat, inside = (torch.as_tensor(x).flatten() for x in (d[key], annotated))
                d[f"{key}{self.fg_postfix}"] = plain((flat > 0).nonzero().flatten())
                d[f"{key}{self.bg_postfix}"] = plain((inside & (flat == 0)).nonzero().flatten())
            else:
                d |= {key: torch.zeros_like(d[key]), "has_label": 0}
                d = super().__call__(d)
        return d


class DiscreteAnnotatedd(AsDiscreted):
    """MONAI's `AsDiscreted`, after prediction and label were made background in every voxel that nobody annotated.

    So these voxels are in no structure of either, and no Dice of a structure knows them. The last key is the label.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """`data`: scores (K, ...) or a class index (1, ...) for each key but the last, which is the label (1, ...)."""
        d = dict(data)
        ignored = torch.as_tensor(d[self.keys[-1]]) == IGNORED
        if bool(ignored.any()):
            for key in self.keys:
                d[key] = _background_where(d[key], plain(ignored))
        return super().__call__(d)


def background_where_ignored(pred: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Both class indices (1, ...) with 0 in the voxels that nobody annotated."""
    ignored = plain(torch.as_tensor(label) == IGNORED)
    return _background_where(pred, ignored), _background_where(label, ignored)


def _background_where(values: Tensor, here: Tensor) -> Tensor:
    """(K, ...) scores become those of class 0 where (1, ...) is True, a class index (1, ...) becomes 0."""
    sure = torch.zeros_like(values)
    if values.shape[0] > 1:
        sure[:1] = 1
    return torch.where(here.to(values.device), sure, values)


def plain(values: Tensor) -> Tensor:
    """Without the metadata of a file, and without the work that carrying them makes."""
    return values.as_tensor() if isinstance(values, MetaTensor) else values
