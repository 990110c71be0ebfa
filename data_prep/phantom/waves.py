"""Smooth random functions of space as sums of sines: needing no grid, any scanner can sample the same patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Waves:
    """`f_c(p) = sum_n amplitude[n, c] * sin(k[n] . p + phase[n])`.

    Shapes: `k` (N, 3) in rad/mm, `phase` (N,) in rad, `amplitude` (N, C) in the unit of the result; all float32.
    """

    k: Array
    phase: Array
    amplitude: Array

    def at(self, points: Array) -> Array:
        """Values of shape (C, ...) at `points` of shape (3, ...), mm."""
        # Element by element rather than one matrix product: the result must not depend on the threads of a BLAS.
        x, y, z = points
        total = np.zeros((self.amplitude.shape[1], *x.shape), dtype=np.float32)
        for (kx, ky, kz), phase, amplitude in zip(self.k, self.phase, self.amplitude, strict=True):
            wave = np.sin(kx * x + ky * y + kz * z + phase)
            for channel, a in enumerate(amplitude):
                total[channel] += a * wave
        return total

    def steepness(self) -> float:
        """Upper bound of the Jacobian's norm. Below 1, `p -> p + f(p)` is one-to-one: nothing folds over."""
        return float(np.sum(np.linalg.norm(self.k, axis=1) * np.linalg.norm(self.amplitude, axis=1)))


def unit_vectors(rng: np.random.Generator, count: int) -> Array:
    """Directions drawn evenly over the sphere, shape (count, 3), float32."""
    vectors = rng.normal(size=(count, 3))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _draw_k(rng: np.random.Generator, count: int, wavelength: tuple[float, float]) -> Array:
    length = rng.uniform(*wavelength, size=(count, 1))
    return (2 * np.pi / length * unit_vectors(rng, count)).astype(np.float32)


def draw_waves(rng: np.random.Generator, count: int, wavelength: tuple[float, float], rms: float) -> Waves:
    """A scalar field (C = 1) of `count` waves with wavelengths in mm and root-mean-square value `rms`."""
    k = _draw_k(rng, count, wavelength)
    phase = rng.uniform(0, 2 * np.pi, size=count).astype(np.float32)
    amplitude = np.full((count, 1), rms * np.sqrt(2 / count), dtype=np.float32)
    return Waves(k, phase, amplitude)


def draw_warp(rng: np.random.Generator, count: int, wavelength: tuple[float, float], steepness: float) -> Waves:
    """A displacement field (C = 3, mm) whose `steepness()` is the given value; below 1 it is invertible."""
    k = _draw_k(rng, count, wavelength)
    phase = rng.uniform(0, 2 * np.pi, size=count).astype(np.float32)
    size = steepness / count / np.linalg.norm(k, axis=1, keepdims=True)
    return Waves(k, phase, (size * unit_vectors(rng, count)).astype(np.float32))
