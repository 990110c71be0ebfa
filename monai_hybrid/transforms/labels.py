"""Masks that may be missing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform

from data_prep.reading import stem


class CompleteLabeld(MapTransform):
    """Give every case a "label" and a "has_label", so that labelled and unlabelled cases share a batch.

    A case without a label gets a background mask on the grid of its image; `has_label` = 0 keeps it out of the mask term.
    A case without a name, as MONAI Label gives them, is called like its file.
    """

    def __init__(self, image_key: str = "image", label_key: str = "label") -> None:
        super().__init__([image_key])
        self.image_key, self.label_key = image_key, label_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """`data[image_key]` is (C, ...); the label made is (1, ...), same affine and metadata."""
        d = dict(data)
        d["has_label"] = int(self.label_key in d)
        if not d["has_label"]:
            image = d[self.image_key]
            label = MetaTensor(torch.zeros_like(image[:1].as_tensor()), meta=dict(image.meta))
            if isinstance(image, MetaTensor):
                label.spatial_ndim = image.spatial_ndim  # a 2D image with a 4 x 4 affine: the constructor would say 3
            d[self.label_key] = label
        file = getattr(d[self.image_key], "meta", {}).get("filename_or_obj")
        if file is not None:
            d.setdefault("case_id", stem(Path(str(file))))
        return d
