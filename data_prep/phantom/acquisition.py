"""One scan of one patient: random settings (`draw_scan`), then a deterministic rendering (`acquire`)."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from data_prep.phantom.patient import Patient, tissue_at, to_patient
from data_prep.phantom.scanner import Geometry, Scanner
from data_prep.phantom.tissues import LABELS, Tissue, label_of_tissue
from data_prep.phantom.waves import Array, Waves, draw_waves

Points = NDArray[np.float64]

SUPER = 2
"""Sub-voxels along each axis: the anatomy is rendered finer than the image, for partial volume."""
AT_ONCE = 1 << 16
"""Points that are looked at together: their arrays stay in the processor's cache, which halves the time."""


@dataclass(frozen=True)
class Scan:
    """What differs from scan to scan at one site.

    `affine` (4, 4) float64: voxel index to world mm, RAS. `signal` (tissues,) float32 relative to 1. `bias`: logarithm
    of the shading over world mm. `gain`: factor on the stored values. `noise_seed` replays the noise.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    psf: tuple[float, float, float]
    affine: Points
    signal: Array
    bias: Waves
    noise: float
    gain: float
    noise_seed: int


@dataclass(frozen=True)
class Image:
    """Signal (X, Y, Z) float32, >= 0, in the site's arbitrary unit; label (X, Y, Z) uint8; affine to mm, RAS."""

    signal: Array
    label: NDArray[np.uint8]
    affine: Points


def make_affine(geometry: Geometry, shape: tuple[int, int, int], tilt: Points, centre: Points) -> Points:
    """Affine (4, 4), voxel to world mm, of a grid whose middle lies at `centre` (3,) mm, turned by `tilt` degrees."""
    axes = nib.orientations.axcodes2ornt(tuple(geometry.orientation))
    cosines = np.zeros((3, 3))
    cosines[axes[:, 0].astype(int), np.arange(3)] = axes[:, 1]
    turned = Rotation.from_euler("xyz", tilt, degrees=True).as_matrix() @ cosines
    affine = np.eye(4)
    affine[:3, :3] = turned * np.asarray(geometry.spacing)
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return affine


def _draw_shape(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    # Real fields of view differ from patient to patient; a plane stays a plane.
    x, y, z = (n if n == 1 else n + int(rng.integers(-1, 2)) for n in shape)
    return x, y, z


def draw_scan(rng: np.random.Generator, scanner: Scanner, geometry: Geometry, aim: Points) -> Scan:
    """Every random number of one scan at one site, with the grid's middle near `aim` (3,), world mm."""
    shape = _draw_shape(rng, geometry.shape)
    tilt = np.asarray(geometry.tilt) + rng.uniform(-2, 2, size=3)
    centre = aim + rng.uniform(-1.5, 1.5, size=3)
    table = np.array([scanner.contrast[t] for t in Tissue]) * rng.normal(1, 0.02, size=len(Tissue))
    return Scan(
        shape=shape,
        spacing=geometry.spacing,
        psf=geometry.psf,
        affine=make_affine(geometry, shape, tilt, centre),
        signal=(np.maximum(table, 0) ** scanner.gamma).astype(np.float32),
        bias=draw_waves(rng, 4, (90.0, 220.0), rms=scanner.bias),
        noise=scanner.noise * rng.uniform(0.8, 1.2),
        gain=scanner.scale * rng.uniform(0.85, 1.15),
        noise_seed=int(rng.integers(2**32)),
    )


def world_points(affine: Points, shape: tuple[int, int, int], factor: int = 1) -> Array:
    """World coordinates (3, X*f, Y*f, Z*f) float32, mm, of the middles of voxels cut into `factor` parts per axis."""
    i, j, k = np.ogrid[tuple(slice(0, n * factor) for n in shape)]
    i, j, k = ((a + 0.5) / factor - 0.5 for a in (i, j, k))
    return np.stack([m[0] * i + m[1] * j + m[2] * k + m[3] for m in affine[:3]]).astype(np.float32)


def _blocks(fine: NDArray[np.generic]) -> NDArray[np.generic]:
    """(X*f, Y*f, Z*f) to (X, Y, Z, f**3): the sub-voxels of each voxel on the last axis."""
    x, y, z = (n // SUPER for n in fine.shape)
    parts = fine.reshape(x, SUPER, y, SUPER, z, SUPER).transpose(0, 2, 4, 1, 3, 5)
    return parts.reshape(x, y, z, SUPER**3)


def _majority(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The label most frequent among each voxel's sub-voxels, the smaller one in a draw."""
    votes = np.stack([_blocks(labels == int(value)).sum(-1, dtype=np.uint8) for value in LABELS])
    return votes.argmax(0).astype(np.uint8)


def _rician(signal: Array, sigma: float, seed: int) -> Array:
    """Magnitude of `signal` with Gaussian noise of `sigma` in both channels (Gudbjartsson & Patz, 1995, eq. 1)."""
    real, imaginary = np.random.default_rng(seed).standard_normal((2, *signal.shape), dtype=np.float32)
    return np.hypot(signal + np.float32(sigma) * real, np.float32(sigma) * imaginary)


def acquire(patient: Patient, scan: Scan) -> Image:
    """Render `patient` as `scan` sees it. Deterministic: all chance lies in the two arguments."""
    world = world_points(scan.affine, scan.shape, SUPER)
    tissue, fine = np.empty(world.shape[1:], np.uint8), np.empty(world.shape[1:], np.float32)
    rows = max(1, AT_ONCE // tissue[0].size)
    for part in (slice(row, row + rows) for row in range(0, len(tissue), rows)):
        points = to_patient(patient, world[:, part])
        tissue[part] = tissue_at(patient, points)
        fine[part] = scan.signal[tissue[part]] * (1 + patient.texture.at(points)[0])
    sigma = [SUPER * p / s for p, s in zip(scan.psf, scan.spacing, strict=True)]
    signal = _blocks(gaussian_filter(fine, sigma, mode="nearest", truncate=3.0)).mean(-1)
    shading = np.exp(scan.bias.at(world_points(scan.affine, scan.shape))[0])
    noisy = _rician(signal * shading, scan.noise, scan.noise_seed)
    return Image(np.float32(scan.gain) * noisy, _majority(label_of_tissue()[tissue]), scan.affine)
