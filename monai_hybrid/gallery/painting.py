"""Masks on pictures: a light fill, an edge in the full colour and a dark one around it, to be seen on any picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]
FILL = 0.3  # opacity of a mask's inside


def painted(scan: Array, index: Array, colours: Sequence[str], size: tuple[int, int]) -> Image.Image:
    """The labels in their colours on a picture of another size.

    Args:
        scan: (H, W, 3) uint8.
        index: (H, W) class index, 0 the background.
        colours: "#rrggbb" of the classes 1, 2, ...; where there are more classes they begin anew.
        size: width and height of the result, pixels; the scan is interpolated, the labels are not.
    """
    picture = np.asarray(Image.fromarray(np.ascontiguousarray(scan)).resize(size, Image.Resampling.BILINEAR))
    labels = np.asarray(Image.fromarray(index.astype(np.int32)).resize(size, Image.Resampling.NEAREST))
    table = np.asarray([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in colours])
    own, inside, beside = table[(labels - 1) % len(table)], labels > 0, _beside_another(labels)
    mixed = np.where(inside[..., None], picture * (1 - FILL) + own * FILL, picture)
    mixed = np.where((inside & beside)[..., None], own, mixed)
    return Image.fromarray(np.where((~inside & beside)[..., None], 0, mixed).astype(np.uint8))


def in_proportion(shape: Sequence[int], spacing: Sequence[float], side: int, longest: float = 0.0) -> tuple[int, int]:
    """Width and height in pixels of a picture (rows, columns) in true proportions of its spacing (row, column).

    `longest`, in the unit of the spacing, or else the longer side, is `side` pixels.
    """
    height, width = shape[0] * spacing[0], shape[1] * spacing[1]
    scale = side / (longest or max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _beside_another(labels: Array) -> Array:
    """(H, W) bool: one of the four neighbours has another label."""
    padded = np.pad(labels, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.any([neighbour != labels for neighbour in neighbours], axis=0)
