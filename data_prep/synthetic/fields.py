"""Smooth random fields on a grid, and the points of the grid. Everything is in voxels: no spacing is known here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Shape = tuple[int, ...]


def grid(shape: Shape) -> Array:
    """Points (dims, *shape) float32: voxel indices, with 0 in the middle of the grid."""
    axes = [np.arange(edge, dtype=np.float32) - np.float32((edge - 1) / 2) for edge in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def smooth_field(rng: np.random.Generator, shape: Shape, wavelength: float) -> Array:
    """A smooth field (*shape) float32 of mean 0 and standard deviation 1, whose hills lie about `wavelength` voxels apart."""
    fine = rng.standard_normal([_knots(edge, wavelength) for edge in shape], dtype=np.float32)
    for edge in shape:
        # Each turn spreads the first axis and puts it last. Sums in a fixed order, so without the threads of a BLAS.
        fine = np.einsum("ek,k...->...e", _spline(edge, wavelength), fine)
    return (fine - fine.mean()) / np.float32(max(float(fine.std()), 1e-6))


def _knots(edge: int, wavelength: float) -> int:
    return max(1, round(edge / wavelength)) + 3


def _spline(edge: int, wavelength: float) -> Array:
    """Weights (edge, knots) float32 of uniform cubic B-splines; each row sums to 1."""
    knots = _knots(edge, wavelength)
    place = np.linspace(1, knots - 2, edge)[:, None]  # in units of knots, one beyond each border
    away = np.abs(place - np.arange(knots))
    near, far = 2 / 3 - away**2 + away**3 / 2, (2 - away).clip(0) ** 3 / 6
    return np.where(away < 1, near, far).astype(np.float32)


def displacement(rng: np.random.Generator, shape: Shape, wavelength: float, size: float) -> Array:
    """A smooth displacement (dims, *shape) float32 in voxels, `size` its standard deviation along each axis."""
    return np.stack([np.float32(size) * smooth_field(rng, shape, wavelength) for _ in shape])
