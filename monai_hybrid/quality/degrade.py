"""Worse copies of a held-out image, so that a handful of cases shows masks of many qualities.

Predicted quality is usually learned from masks made worse on purpose (Robinson et al., Real-time prediction of segmentation
quality, MICCAI 2018). Here the image is made worse, in the way scanners do it, and the model makes the mask.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from monai.transforms import (
    RandAdjustContrast,
    RandBiasField,
    RandGaussianNoise,
    RandGaussianSmooth,
    RandSimulateLowResolution,
)
from torch import Tensor

Step = Callable[[Tensor], Tensor]
SIGMA = (0.7, 2.5)  # voxels of the network's grid
KINDS: dict[str, Callable[[int], Step]] = {  # by the number of spatial axes
    "noise": lambda dims: RandGaussianNoise(prob=1.0, std=0.3),
    "blur": lambda dims: RandGaussianSmooth(prob=1.0, sigma_x=SIGMA, sigma_y=SIGMA, sigma_z=SIGMA),
    "contrast": lambda dims: RandAdjustContrast(prob=1.0, gamma=(0.3, 3.0)),
    "bias": lambda dims: RandBiasField(prob=1.0, coeff_range=(0.1, 0.6)),
    "resolution": lambda dims: RandSimulateLowResolution(
        prob=1.0, zoom_range=(0.35, 0.8), upsample_mode="trilinear" if dims == 3 else "bilinear"
    ),
}


def degraded(image: Tensor, number: int, seed: int = 0) -> tuple[str, Tensor]:
    """The name and the image (C, X, Y[, Z]) of a worse copy; the same for the same number and seed.

    Args:
        image: preprocessed, float32; its range is kept.
        number: of the copy, from 0; the kinds take turns, and two of them come together after the first turn.
        seed: of the draw.
    """
    names = list(KINDS)
    turn, first = divmod(number, len(names))
    chosen = [names[first], names[(first + turn) % len(names)]] if turn % len(names) else [names[first]]
    low, high = float(image.min()), float(image.max())
    wide = max(high - low, 1e-6)
    worse = (torch.as_tensor(image).float() - low) / wide
    for i, name in enumerate(chosen):
        step = KINDS[name](image.ndim - 1)
        step.set_random_state(seed=int(np.random.SeedSequence([seed, number, i]).generate_state(1)[0]))  # type: ignore[attr-defined]
        worse = torch.as_tensor(step(worse))
    return "+".join(chosen), (worse * wide + low).clamp_(low, high)
