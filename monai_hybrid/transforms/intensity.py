"""Intensities to [-1, 1], the range that the diffusion process assumes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Mapping
from typing import Any, TypeGuard

import numpy as np
import torch
from monai.transforms import MapTransform, ScaleIntensityRange, ScaleIntensityRangePercentiles, Transform
from monai.utils import convert_to_dst_type

from data_prep.normalising import HARD, SOFT, WINDOW, soft
from monai_hybrid.errors import ConfigError

BOUNDS = ("lower", "upper")
NUMBERS = {HARD: BOUNDS, SOFT: (*BOUNDS, "below", "above"), WINDOW: BOUNDS}


class Normalized(MapTransform):
    """Scale images as the plan says.

    Args:
        keys: image keys.
        normalization: the plan's entry: {"method": "percentiles", "lower", "upper"} scales each case and channel by its own
            percentiles (MR: the unit is arbitrary); {"method": "window", "lower", "upper"} uses fixed bounds (CT: HU).
            Values outside are clipped. {"method": "soft_percentiles", "lower", "upper", "below", "above"} compresses them
            instead, see `data_prep.normalising.soft`. The result lies in [-1, 1], float32.

    Raises:
        ConfigError: unknown method, or a number is missing or out of range.
    """

    def __init__(self, keys: Any, normalization: Mapping[str, Any]) -> None:
        super().__init__(keys)
        self.scale = _scaler(normalization)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        d = dict(data)
        for key in self.key_iterator(d):
            with warnings.catch_warnings():  # of a constant image, which a check names
                warnings.filterwarnings("ignore", "Divide by zero", Warning)
                scaled = self.scale(d[key])
            # MONAI does not clip where the two bounds coincide: a nearly constant image with a few bright voxels.
            d[key] = scaled.clip(-1.0, 1.0)
        return d


class SoftPercentiles(Transform):
    """Each channel of a (C, X, Y[, Z]) image by `data_prep.normalising.soft`, float32."""

    def __init__(self, normalization: Mapping[str, Any]) -> None:
        self.normalization = dict(normalization)

    def __call__(self, image: Any) -> Any:
        """The image with its metadata."""
        channels = [soft(np.asarray(channel), self.normalization) for channel in torch.as_tensor(image).cpu()]
        return convert_to_dst_type(np.stack(channels), image, dtype=torch.float32)[0]


def _scaler(normalization: Mapping[str, Any]) -> Transform:
    method = normalization.get("method") if isinstance(normalization, Mapping) else normalization
    if not isinstance(method, str) or method not in NUMBERS:
        raise ConfigError(f"normalization: got method {method!r}, expected {HARD}, {SOFT} or {WINDOW}")
    for key in NUMBERS[method]:
        value, rank = normalization.get(key), method != WINDOW and key in ("lower", "upper")
        if not _is_number(value) or (rank and not 0 <= value <= 100) or (key in ("below", "above") and value < 0):
            wanted = "a number from 0 to 100" if rank else "a number"
            raise ConfigError(f"normalization: {key} of {method} is {value!r}, expected {wanted}")
    if method == SOFT:
        return SoftPercentiles(normalization)
    lower, upper = normalization["lower"], normalization["upper"]
    if method == HARD:
        return ScaleIntensityRangePercentiles(lower, upper, b_min=-1.0, b_max=1.0, clip=True, channel_wise=True)
    return ScaleIntensityRange(lower, upper, b_min=-1.0, b_max=1.0, clip=True)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
