"""Random shapes in the place of a crop: each sample of a training is a labelled image that nobody has seen before."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform, Randomizable

from data_prep.normalising import HARD
from data_prep.synthetic import draw_sample
from monai_hybrid.transforms.intensity import Normalized


class DrawShapesd(Randomizable, MapTransform):
    """Replace image and label by a new drawing of `data_prep.synthetic`; every other entry stays.

    The drawing follows from this transform's random state alone, which `ReplayableDataset` seeds for each sample.

    Args:
        keys: of the image (1, X, Y[, Z]) float32, given back in [-1, 1], and of the label, class indices of the same shape.
        spatial_size: edges of the patch, at least 8 voxels.
        normalization: the plan's entry; see `Normalized`.
    """

    def __init__(
        self,
        keys: Sequence[Hashable] = ("image", "label"),
        spatial_size: Sequence[int] = (32, 32, 32),
        normalization: Mapping[str, Any] | None = None,
    ) -> None:
        MapTransform.__init__(self, keys)
        self.spatial_size = tuple(int(edge) for edge in spatial_size)
        self.scale = Normalized("image", normalization or {"method": HARD, "lower": 0.5, "upper": 99.5})
        self.drawn = 0

    def randomize(self, data: Any = None) -> None:
        """Draw the number that stands for the image."""
        self.drawn = int(self.R.randint(2**31))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The case with the drawing in the place of its image and label, both of the types they had."""
        self.randomize()
        sample = draw_sample(self.drawn, self.spatial_size)
        image, label = self.keys
        d = dict(data)
        d[image] = self.scale({"image": torch.from_numpy(sample.image[None])})["image"].to(torch.float32)
        d[label] = torch.from_numpy(np.ascontiguousarray(sample.label[None])).to(torch.as_tensor(data[label]).dtype)
        return d
