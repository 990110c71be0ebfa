"""Fixed changes of contrast, for studies on one anatomy and for choosing learning rates without a target.

Each is a curve on u = (x + 1) / 2, the normalised intensity in 0..1, given by its corner points and linear between them. They
act after resampling and normalisation and before augmentation, and leave the masks alone.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CURVES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "none": ((0.0, 1.0), (0.0, 1.0)),
    # Dark becomes bright: monotone, no contrast is lost.
    "inverted": ((0.0, 1.0), (1.0, 0.0)),
    # T1-like to T2-like: fluid (about 0.2) bright, grey matter (0.5) between, white matter (0.75) dark, nothing (0) black, and
    # fat grey. Not monotone: tissues that differed can coincide.
    "t2_like": ((0.0, 0.05, 0.2, 0.5, 0.75, 1.0), (0.0, 0.1, 1.0, 0.6, 0.3, 0.5)),
    # u^0.5 at nine points: a brighter image of the same order of tissues. The shift for choosing learning rates.
    "gamma": (tuple(i / 8 for i in range(9)), tuple((i / 8) ** 0.5 for i in range(9))),
}


def remap(image: Tensor, name: str) -> Tensor:
    """Apply a curve of `CURVES` to an image in [-1, 1], any shape; float32 in the same range."""
    if name == "none":
        return image
    points, values = CURVES[name]
    u = (np.asarray(image, dtype=np.float32) + 1) / 2
    return torch.as_tensor(np.interp(u, points, values).astype(np.float32) * 2 - 1)
