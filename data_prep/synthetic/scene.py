"""A scene: unlabelled tissues that fill the grid, and labelled structures that lie in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.synthetic.families import FAMILIES, Structure
from data_prep.synthetic.fields import Array, Shape, displacement, grid, smooth_field

MOST_TISSUES = 3
MOST_STRUCTURES = {2: 6, 3: 10}  # of a grid of two and of three dimensions


@dataclass(frozen=True)
class Scene:
    """What is where.

    Attributes:
        label: (*shape) uint8, the shape family of each voxel, 0 outside all.
        region: (*shape) uint8, a number for each tissue and each part of a structure: one material, one mean grey value.
        regions: how many there are.
        tissues: the first so many are unlabelled tissues.
    """

    label: NDArray[np.uint8]
    region: NDArray[np.uint8]
    regions: int
    tissues: int


def draw_scene(rng: np.random.Generator, shape: Shape) -> Scene:
    """Draw tissues and up to `MOST_STRUCTURES` structures, later ones over earlier ones, on a grid (X, Y[, Z])."""
    region, tissues = _draw_tissues(rng, shape)
    structures = [
        FAMILIES[int(rng.integers(len(FAMILIES)))](rng, shape)
        for _ in range(int(rng.integers(1, MOST_STRUCTURES[len(shape)] + 1)))
    ]
    points = grid(shape) + displacement(rng, shape, min(shape) * rng.uniform(0.3, 0.6), min(shape) * rng.uniform(0.01, 0.05))
    return _place(structures, points, region, tissues)


def _draw_tissues(rng: np.random.Generator, shape: Shape) -> tuple[NDArray[np.uint8], int]:
    """Tissues whose borders wind: at each voxel the one of the highest of several smooth fields. Some images have one only."""
    count = int(rng.integers(1, MOST_TISSUES + 1))
    wavelength = min(shape) * float(rng.uniform(0.25, 0.8))
    fields = np.stack([smooth_field(rng, shape, wavelength) for _ in range(count)])
    return fields.argmax(0).astype(np.uint8), count


def _place(structures: list[Structure], points: Array, region: NDArray[np.uint8], tissues: int) -> Scene:
    label, number = np.zeros(points.shape[1:], dtype=np.uint8), tissues
    for structure in structures:
        for value, distance in structure.distances(points):
            inside = distance < 0
            label[inside], region[inside] = value, number
            number += 1
    return Scene(label, region, number, tissues)
