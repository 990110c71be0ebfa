"""The shape families: anonymous stand-ins for organs, vessels, walls, cells and layers.

Each family has a `draw_...` that takes every random number, and gives a frozen dataclass whose `distance` is deterministic:
about the signed distance in voxels, negative inside. So one drawing can be shown on any grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data_prep.synthetic.fields import Array, Shape

LABELS: dict[str, str] = {
    "0": "background", "1": "blob", "2": "tube", "3": "shell", "4": "cluster", "5": "rim", "6": "core",
}  # fmt: skip
"""Label value (as a JSON key) to the name of the shape family. `rim` and `core` are the two layers of one body."""

WIDER_IN_3D = 1.5


class Structure(Protocol):
    """What a family draws."""

    def distances(self, points: Array) -> list[tuple[int, Array]]:
        """(label value, distance in voxels) of each part, outermost first; `points` (dims, *shape)."""
        ...


@dataclass(frozen=True)
class Body:
    """A superellipsoid: `turn` (dims, dims) leads from the grid to its axes, `radii` in voxels, `power` 2 is an ellipsoid."""

    centre: Array
    turn: Array
    radii: Array
    power: float

    def distance(self, points: Array) -> Array:
        """About the distance to the surface (*shape) float32, voxels, negative inside."""
        away = points - self.centre.reshape(-1, *[1] * (points.ndim - 1))
        own = np.einsum("ij,j...->i...", self.turn, away)
        scaled = np.abs(own) / self.radii.reshape(-1, *[1] * (points.ndim - 1))
        value = (scaled ** np.float32(self.power)).sum(0) ** np.float32(1 / self.power)
        return ((value - 1) * self.radii.min()).astype(np.float32)


@dataclass(frozen=True)
class Layered:
    """A body in one or two layers: `labels` and how far below the surface each begins (voxels), outermost first.

    A layer whose label is 0 hollows the body. `cut` (dims,) and `level`: what lies beyond this plane is open; 0 is whole.
    """

    body: Body
    labels: tuple[int, ...]
    depths: tuple[float, ...]
    cut: Array
    level: float

    def distances(self, points: Array) -> list[tuple[int, Array]]:
        """See `Structure`."""
        surface = self.body.distance(points)
        away = points - self.body.centre.reshape(-1, *[1] * (points.ndim - 1))
        beyond = np.einsum("j,j...->...", self.cut, away) - np.float32(self.level)
        return [
            (label, np.maximum(surface + np.float32(depth), beyond))
            for label, depth in zip(self.labels, self.depths, strict=True)
        ]


@dataclass(frozen=True)
class Segments:
    """Round pieces from `starts` to `ends` (N, dims), voxels, thick as `radii` (N,); a piece of no length is a ball."""

    label: int
    starts: Array
    ends: Array
    radii: Array

    def distances(self, points: Array) -> list[tuple[int, Array]]:
        """See `Structure`."""
        nearest = np.full(points.shape[1:], np.inf, dtype=np.float32)
        for start, end, radius in zip(self.starts, self.ends, self.radii, strict=True):
            way = end - start
            length = float(way @ way)
            away = points - start.reshape(-1, *[1] * (points.ndim - 1))
            if length > 0:
                share = (np.einsum("j,j...->...", way, away) / np.float32(length)).clip(0, 1)
                away = away - way.reshape(-1, *[1] * (points.ndim - 1)) * share
            np.minimum(nearest, np.sqrt((away * away).sum(0)) - radius, out=nearest)
        return [(self.label, nearest)]


def _direction(rng: np.random.Generator, dims: int) -> Array:
    vector = rng.standard_normal(dims)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _turn(rng: np.random.Generator, dims: int) -> Array:
    """A random rotation (dims, dims), by the orthogonal part of a matrix of normal numbers."""
    orthogonal, upper = np.linalg.qr(rng.standard_normal((dims, dims)))
    return (orthogonal * np.sign(np.diag(upper))).astype(np.float32)


def _place(rng: np.random.Generator, shape: Shape, share: float = 0.35) -> Array:
    return np.array([rng.uniform(-share, share) * edge for edge in shape], dtype=np.float32)


def _unit(shape: Shape) -> float:
    """The edge that sizes are shares of, voxels: wider in 3D, where the same radius fills less of the grid."""
    return min(shape) * (WIDER_IN_3D if len(shape) == 3 else 1.0)


def _body(rng: np.random.Generator, shape: Shape, smallest: float, largest: float) -> Body:
    size = _unit(shape) * np.exp(rng.uniform(np.log(smallest), np.log(largest)))
    radii = np.maximum(size * rng.uniform(0.45, 1.0, size=len(shape)), 1.2).astype(np.float32)
    return Body(_place(rng, shape), _turn(rng, len(shape)), radii, float(rng.uniform(1.7, 3.0)))


def _open(rng: np.random.Generator, body: Body, share: float) -> tuple[Array, float]:
    """A plane that cuts the body open in `share` of the draws."""
    normal, level = _direction(rng, len(body.radii)), float(rng.uniform(0.1, 0.8) * body.radii.min())
    return normal, level if rng.random() < share else float(4 * body.radii.max())


def draw_blob(rng: np.random.Generator, shape: Shape) -> Structure:
    """A solid body, sometimes flattened on one side."""
    body = _body(rng, shape, 0.07, 0.4)
    return Layered(body, (1,), (0.0,), *_open(rng, body, 0.2))


def draw_shell(rng: np.random.Generator, shape: Shape) -> Structure:
    """A wall around a hollow, closed or open like a cup."""
    body = _body(rng, shape, 0.15, 0.45)
    wall = float(max(1.3, body.radii.min() * rng.uniform(0.15, 0.45)))
    return Layered(body, (3, 0), (0.0, wall), *_open(rng, body, 0.4))


def draw_layers(rng: np.random.Generator, shape: Shape) -> Structure:
    """A body of two tissues, rim and core."""
    body = _body(rng, shape, 0.15, 0.45)
    rim = float(max(1.3, body.radii.min() * rng.uniform(0.2, 0.5)))
    return Layered(body, (5, 6), (0.0, rim), *_open(rng, body, 0.15))


def draw_cluster(rng: np.random.Generator, shape: Shape) -> Structure:
    """Many small balls near one place."""
    count, dims = int(rng.integers(4, 13)), len(shape)
    spread = min(shape) * rng.uniform(0.08, 0.2)
    centres = (_place(rng, shape, 0.3) + rng.normal(0, spread, size=(count, dims))).astype(np.float32)
    radii = np.maximum(_unit(shape) * rng.uniform(0.02, 0.06, size=count), 1.0).astype(np.float32)
    return Segments(4, centres, centres, radii)


def draw_tube(rng: np.random.Generator, shape: Shape) -> Structure:
    """A winding tube with up to three branches, each thinner than its trunk."""
    step, radius = min(shape) * rng.uniform(0.07, 0.13), float(max(0.9, _unit(shape) * rng.uniform(0.015, 0.07)))
    place, heading = _place(rng, shape, 0.45), _direction(rng, len(shape))
    pieces = _walk(rng, place, heading, step, radius, int(rng.integers(5, 12)))
    for _ in range(int(rng.integers(0, 4))):
        start, thick = pieces[int(rng.integers(len(pieces)))][1:]
        pieces += _walk(rng, start, _direction(rng, len(shape)), step, max(0.8, 0.7 * thick), int(rng.integers(3, 7)))
    starts, ends, radii = zip(*pieces, strict=True)
    return Segments(2, np.stack(starts), np.stack(ends), np.array(radii, dtype=np.float32))


def _walk(
    rng: np.random.Generator, place: Array, heading: Array, step: float, radius: float, count: int
) -> list[tuple[Array, Array, float]]:
    """`count` pieces (start, end, radius) of a walk that turns a little at each step."""
    bend, pieces = float(rng.uniform(0.15, 0.6)), []
    for _ in range(count):
        heading = heading + np.float32(bend) * _direction(rng, len(place))
        heading = heading / np.linalg.norm(heading)
        end = (place + np.float32(step) * heading).astype(np.float32)
        pieces.append((place, end, radius))
        place = end
    return pieces


FAMILIES: tuple[Callable[[np.random.Generator, Shape], Structure], ...] = (
    draw_blob, draw_tube, draw_shell, draw_cluster, draw_layers,
)  # fmt: skip
