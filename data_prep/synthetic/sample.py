"""One labelled image from one seed: the same seed and shape give the same voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.synthetic.appearance import check_shape, render
from data_prep.synthetic.fields import Array, Shape
from data_prep.synthetic.scene import draw_scene


@dataclass(frozen=True)
class Sample:
    """`image` (*shape) float32 in [0, 1]; `label` (*shape) uint8, values of `LABELS`."""

    image: Array
    label: NDArray[np.uint8]


def draw_sample(seed: int, shape: Shape) -> Sample:
    """Draw the labelled image of `seed` on a grid (X, Y) or (X, Y, Z) of at least 8 voxels an edge.

    Raises:
        ValueError: another number of edges, or a smaller one.
    """
    check_shape(shape)
    for_scene, for_look = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    scene = draw_scene(for_scene, shape)
    return Sample(render(for_look, scene), scene.label)
