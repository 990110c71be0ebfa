"""One patient: numbers drawn at random (`draw_patient`), and what they say about a point in space (`tissue_at`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from data_prep.phantom.shapes import Ellipsoid, Horn, Triple
from data_prep.phantom.tissues import Tissue
from data_prep.phantom.waves import Array, Waves, draw_warp, draw_waves


@dataclass(frozen=True)
class Decoy:
    """An unlabelled structure that looks like a labelled one: intensity alone cannot tell them apart."""

    shape: Ellipsoid
    tissue: Tissue


@dataclass(frozen=True)
class Layers:
    """Thickness of the shells from outside to inside, mm; `fold` (mm) shapes the two surfaces of the cortex."""

    skin: float
    bone: float
    fluid: float
    cortex: float
    fold: Waves


@dataclass(frozen=True)
class Patient:
    """Anatomy in patient coordinates (mm, RAS, origin in the middle of the head) and the pose that leads there.

    `to_patient` (3, 4) maps world mm to patient mm before `warp` (mm) is added; `texture` is relative to 1.
    """

    to_patient: Array
    warp: Waves
    texture: Waves
    head: Ellipsoid
    bridge: Ellipsoid
    lobe: Ellipsoid
    layers: Layers
    nuclei: tuple[Ellipsoid, ...]
    ventricles: tuple[Horn, ...]
    decoys: tuple[Decoy, ...]


def _near(rng: np.random.Generator, middle: Triple, spread: float) -> Triple:
    """`middle` with a uniform change of at most `spread` in each of the three numbers."""
    x, y, z = (float(m + rng.uniform(-spread, spread)) for m in middle)
    return x, y, z


def _stretched(rng: np.random.Generator, radii: Triple, part: float) -> Triple:
    """`radii` with a change of at most `part` (relative): one common factor for size and one each for shape."""
    size = rng.uniform(1 - part, 1 + part)
    x, y, z = (float(r * size * rng.uniform(1 - part / 2, 1 + part / 2)) for r in radii)
    return x, y, z


def _draw_pose(rng: np.random.Generator) -> Array:
    turn = Rotation.from_euler("xyz", rng.uniform(-9, 9, size=3), degrees=True).as_matrix()
    linear = turn / rng.uniform(0.93, 1.06)
    shift = rng.uniform(-2.5, 2.5, size=(3, 1))
    return np.hstack([linear, -linear @ shift]).astype(np.float32)


def _draw_layers(rng: np.random.Generator) -> Layers:
    return Layers(
        skin=rng.uniform(1.6, 3.0),
        bone=rng.uniform(1.6, 2.4),
        fluid=rng.uniform(1.0, 2.0),
        cortex=rng.uniform(4.0, 5.0),
        fold=draw_waves(rng, 12, (10.0, 17.0), rms=1.15),
    )


def _draw_nucleus(rng: np.random.Generator, side: int) -> Ellipsoid:
    centre = _near(rng, (side * 11.5, -1.0, -1.5), 1.0)
    return Ellipsoid(centre, _stretched(rng, (5.2, 8.2, 6.4), 0.18), bend=side * rng.uniform(-0.01, 0.05))


def _draw_ventricle(rng: np.random.Generator, side: int, thickness: float) -> Horn:
    return Horn(
        centre=_near(rng, (side * 7.5, -1.5, -2.5), 0.7),
        bow=rng.uniform(11.5, 13.5),
        heading=rng.uniform(1.6, 2.1),
        span=rng.uniform(1.5, 1.9),
        thickness=thickness * rng.uniform(0.9, 1.1),
        taper=rng.uniform(0.1, 0.35),
        drift=-side * rng.uniform(1.5, 4.0),
    )


def _draw_decoys(rng: np.random.Generator) -> tuple[Decoy, ...]:
    """A grey strip lateral of each nucleus, a slit of fluid in the middle, and a few scattered blobs of either kind."""
    found = [Decoy(Ellipsoid((0.0, -3.0, -6.0), _stretched(rng, (1.8, 7.0, 5.5), 0.2)), Tissue.DECOY_FLUID)]
    for side in (-1, 1):
        strip = Ellipsoid(_near(rng, (side * 20.5, 1.0, -2.0), 1.0), _stretched(rng, (2.4, 9.0, 7.0), 0.2), side * -0.02)
        found.append(Decoy(strip, Tissue.DECOY_GREY))
    for _ in range(int(rng.integers(2, 6))):
        tissue = Tissue.DECOY_GREY if rng.random() < 0.5 else Tissue.DECOY_FLUID
        centre = _near(rng, (rng.choice([-11.0, 11.0]), rng.choice([-17.0, 17.0]), 2.0), 6.0)
        found.append(Decoy(Ellipsoid(centre, _stretched(rng, (2.8, 2.8, 2.8), 0.35)), tissue))
    return tuple(found)


def draw_patient(rng: np.random.Generator) -> Patient:
    """Every random number of one patient's anatomy and pose; nothing is computed on a grid here."""
    girth = rng.uniform(3.0, 4.4)
    return Patient(
        to_patient=_draw_pose(rng),
        warp=draw_warp(rng, 6, (38.0, 80.0), steepness=0.9),
        texture=draw_waves(rng, 12, (6.0, 24.0), rms=0.045),
        head=Ellipsoid((0.0, 0.0, 0.0), _stretched(rng, (33.0, 39.5, 33.0), 0.03)),
        bridge=Ellipsoid((0.0, -2.0, -6.0), _stretched(rng, (22.0, 21.0, 20.0), 0.08)),
        lobe=Ellipsoid(_near(rng, (0.0, -16.0, -17.0), 1.5), _stretched(rng, (15.0, 9.5, 7.5), 0.1)),
        layers=_draw_layers(rng),
        nuclei=tuple(_draw_nucleus(rng, side) for side in (-1, 1)),
        ventricles=tuple(_draw_ventricle(rng, side, girth) for side in (-1, 1)),
        decoys=_draw_decoys(rng),
    )


def to_patient(patient: Patient, world: Array) -> Array:
    """Patient coordinates (3, ...) of `world` points (3, ...), both mm, RAS."""
    x, y, z = world
    rows = [m[0] * x + m[1] * y + m[2] * z + m[3] for m in patient.to_patient]
    points = np.stack(rows)
    return points + patient.warp.at(points)


def world_of_nuclei(patient: Patient) -> NDArray[np.float64]:
    """World point (3,), float64 mm, that lies half way between the nuclei."""
    target = np.array([nucleus.centre for nucleus in patient.nuclei], dtype=np.float32).mean(axis=0, keepdims=True).T
    point = target
    # Fixed point of p = target - warp(p): it exists and is reached because the warp's steepness is below 1.
    for _ in range(40):
        point = target - patient.warp.at(point)
    linear, shift = np.split(patient.to_patient.astype(np.float64), [3], axis=1)
    world: NDArray[np.float64] = np.linalg.solve(linear, point - shift)[:, 0]
    return world


def _paint_layers(patient: Patient, points: Array) -> NDArray[np.uint8]:
    """Head, skull, fluid, folded cortex and white matter; the two halves part at the midline outside `bridge`."""
    layers = patient.layers
    depth = patient.head.distance(points)
    skull = depth + np.float32(layers.skin + layers.bone)
    fold = layers.fold.at(points)[0]
    fissure = np.minimum(1 - np.abs(points[0]), patient.bridge.distance(points))
    brain = np.maximum(skull + np.float32(layers.fluid), fissure)
    tissue = np.zeros(depth.shape, dtype=np.uint8)
    tissue[depth < 0] = Tissue.SKIN
    # The scalp is not of even thickness; the same folds serve, since nobody sees them twice in one place.
    tissue[depth + 0.4 * fold < -layers.skin] = Tissue.BONE
    tissue[skull < 0] = Tissue.FLUID
    # The inner surface is folded more than the outer one, as sulci are narrow and gyri wide.
    tissue[(brain + 0.5 * fold < 0) & (skull < -0.5)] = Tissue.CORTEX
    tissue[(brain + 1.5 * fold < -layers.cortex) & (brain + 0.5 * fold < 0)] = Tissue.WHITE
    tissue[(patient.lobe.distance(points) + fold < 0) & (skull < -layers.fluid)] = Tissue.LOBE
    return tissue


def tissue_at(patient: Patient, points: Array) -> NDArray[np.uint8]:
    """Tissue codes (see `Tissue`), uint8, shape (...), at patient coordinates `points` (3, ...), mm."""
    tissue = _paint_layers(patient, points)
    inside = (tissue == Tissue.WHITE) | (tissue == Tissue.CORTEX)
    there, found = points[:, inside], tissue[inside]  # the others need no distance
    for decoy in patient.decoys:
        found[decoy.shape.distance(there) < 0] = decoy.tissue
    for nucleus in patient.nuclei:
        found[nucleus.distance(there) < 0] = Tissue.NUCLEUS
    for horn in patient.ventricles:
        found[horn.distance(there) < 0] = Tissue.VENTRICLE
    tissue[inside] = found
    return tissue
