"""Implicit shapes: distance in mm to a surface, negative inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_prep.phantom.waves import Array

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid bent sideways along y: `centre` and `radii` in mm, `bend` in 1/mm (0 is straight)."""

    centre: Triple
    radii: Triple
    bend: float = 0.0

    def distance(self, points: Array) -> Array:
        """Approximate signed distance, shape (...), mm, exact in first order at the surface; `points` (3, ...)."""
        x, y, z = (np.float32(1 / r) * (p - np.float32(c)) for p, c, r in zip(points, self.centre, self.radii, strict=True))
        if self.bend:
            x = x - np.float32(self.bend * self.radii[1] ** 2 / self.radii[0]) * (y * y)
        value = np.sqrt(x * x + y * y + z * z)
        rx, ry, rz = (np.float32(1 / r**2) for r in self.radii)
        slope = np.sqrt(rx * x * x + ry * y * y + rz * z * z)
        return value * (value - 1) / np.maximum(slope, np.float32(1e-6))


@dataclass(frozen=True)
class Horn:
    """A curved tapering tube: an arc in a sagittal plane that drifts sideways along its way.

    `centre` (mm) is the centre of the arc of radius `bow` (mm). The arc runs `span` rad to either side of the direction
    `heading` (rad, from anterior towards superior); `thickness` (mm) is the tube's radius in the middle, `taper` the
    part of it lost at the ends, `drift` (mm) the sideways way from the middle to the end.
    """

    centre: Triple
    bow: float
    heading: float
    span: float
    thickness: float
    taper: float
    drift: float

    def distance(self, points: Array) -> Array:
        """Approximate signed distance, shape (...), mm; `points` of shape (3, ...)."""
        x, y, z = (p - np.float32(c) for p, c in zip(points, self.centre, strict=True))
        c, s = np.float32(np.cos(self.heading)), np.float32(np.sin(self.heading))
        along, across = c * y + s * z, c * z - s * y
        angle = np.clip(np.arctan2(across, along), -np.float32(self.span), np.float32(self.span))
        way = angle / np.float32(self.span)
        du = along - np.float32(self.bow) * np.cos(angle)
        dv = across - np.float32(self.bow) * np.sin(angle)
        dx = x + np.float32(self.drift) * way
        radius = np.float32(self.thickness) * (1 - np.float32(self.taper) * way * way)
        return np.sqrt(du * du + dv * dv + dx * dx) - radius
