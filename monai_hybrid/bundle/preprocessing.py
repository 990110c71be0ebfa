"""What evaluation and prediction do to an image before the network sees it: said once, by the model's card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monai.transforms import Compose, LoadImaged, Orientationd

from monai_hybrid.transforms import CaseReader, Normalized, SafeSpacingd


def image_transforms(card: Mapping[str, Any], spacing: Sequence[float], colour: str | Sequence[str] | None = None) -> Compose:
    """From the file(s) of "image" to (C, X, Y[, Z]) float32 on the network's grid, its grey values as in training.

    These are the image's steps of `deterministic_transforms` in the trainings' configurations.

    Args:
        card: of the model.
        spacing: of that grid, in mm, or in pixels or voxels where the files state none.
        colour: which colours of a picture are the channels; None: one grey value a pixel.
    """
    dims, plan = int(card["spatial_dims"]), card["plan"]
    load = LoadImaged("image", reader=CaseReader(colour=colour, spatial_dims=dims), ensure_channel_first=True, image_only=True)
    orient = [] if dims == 2 else [Orientationd("image", axcodes="RAS", labels=None)]
    grid = SafeSpacingd("image", pixdim=spacing, mode="bilinear", resampling=plan.get("resampling", "sample"))
    return Compose([load, *orient, grid, Normalized("image", normalization=plan["normalization"])])
