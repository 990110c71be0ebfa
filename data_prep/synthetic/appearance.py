"""How a scene looks: a grey value for every region, texture, then what a scanner adds. Every range is a constant here.

The line of SynthSeg (Billot et al., Medical Image Analysis 2023) and of Anatomix (Dey et al., ICLR 2025): contrast is random,
so that a network cannot lean on it. The ranges were fixed without a look at any data set's labels.
"""

from __future__ import annotations

import numpy as np
import scipy  # its parts load when they are called

from data_prep.synthetic.fields import Array, Shape, smooth_field
from data_prep.synthetic.scene import Scene

LEAST_CONTRAST = 0.12  # between a structure and each unlabelled tissue, of a range of 1
TRIES = 20
TEXTURE = (0.0, 0.08)  # standard deviation of a region's own texture
SHADING = (0.0, 0.35)  # of the logarithm of the bias field
BLUR = (0.0, 1.1)  # sigma in voxels
NOISE = (0.0, 0.1)
GAMMA = (0.6, 1.6)
COARSER = (1.5, 3.0)  # voxels of an anisotropic scan along one axis
SHARE_COARSER, SHARE_RICIAN, SHARE_SPECKLE = 0.3, 0.3, 0.15


def render(rng: np.random.Generator, scene: Scene) -> Array:
    """A grey image (*shape) float32 in an arbitrary unit."""
    means = draw_means(rng, scene)
    image = means[scene.region]
    image += _texture(rng, scene)
    image = scipy.ndimage.gaussian_filter(image, rng.uniform(*BLUR), mode="nearest", truncate=3.0)
    if rng.random() < SHARE_COARSER:
        image = _coarser(rng, image)
    image = image * np.exp(np.float32(rng.uniform(*SHADING)) * smooth_field(rng, image.shape, 0.8 * max(image.shape)))
    image = _noisy(rng, image)
    low, high = float(image.min()), float(image.max())
    image = (image - np.float32(low)) / np.float32(max(high - low, 1e-6))
    return (image ** np.float32(rng.uniform(*GAMMA))).astype(np.float32)


def draw_means(rng: np.random.Generator, scene: Scene) -> Array:
    """Mean grey value (regions,) float32 of each region: even over [0, 1], a structure unlike the tissues around it."""
    means = rng.uniform(0, 1, size=scene.regions)
    tissues = means[: scene.tissues]
    for number in range(scene.tissues, scene.regions):
        for _ in range(TRIES):
            if np.abs(means[number] - tissues).min() >= LEAST_CONTRAST:
                break
            means[number] = rng.uniform(0, 1)
    return means.astype(np.float32)


def _texture(rng: np.random.Generator, scene: Scene) -> Array:
    """One field of fine and one of coarse grain, each region with its own share of them."""
    shape = scene.region.shape
    shares = rng.uniform(*TEXTURE, size=(2, scene.regions)).astype(np.float32)
    fine = smooth_field(rng, shape, float(rng.uniform(2, 4)))
    coarse = smooth_field(rng, shape, float(rng.uniform(5, 12)))
    return shares[0][scene.region] * fine + shares[1][scene.region] * coarse


def _coarser(rng: np.random.Generator, image: Array) -> Array:
    """Thick slices along one axis: blurred to the slice's width, sampled, and brought back linearly."""
    axis, factor = int(rng.integers(image.ndim)), float(rng.uniform(*COARSER))
    edge = image.shape[axis]
    sigma, scale = [0.0] * image.ndim, [1.0] * image.ndim
    sigma[axis] = 0.4 * factor
    scale[axis] = max(2, round(edge / factor)) / edge
    thick = scipy.ndimage.zoom(
        scipy.ndimage.gaussian_filter(image, sigma, mode="nearest"), scale, order=1, grid_mode=True, mode="nearest"
    )
    scale[axis] = edge / thick.shape[axis]
    back: Array = scipy.ndimage.zoom(thick, scale, order=1, grid_mode=True, mode="nearest")
    return back


def _noisy(rng: np.random.Generator, image: Array) -> Array:
    """Gaussian, Rician (Gudbjartsson & Patz, 1995, eq. 1), or multiplicative noise."""
    sigma, kind = np.float32(rng.uniform(*NOISE)), rng.random()
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    if kind < SHARE_RICIAN:
        return np.hypot(image + sigma * noise, sigma * rng.standard_normal(image.shape, dtype=np.float32))
    if kind < SHARE_RICIAN + SHARE_SPECKLE:
        return image * (1 + 2 * sigma * noise)
    return image + sigma * noise


def check_shape(shape: Shape) -> None:
    """Raises ValueError: not 2 or 3 edges of at least 8 voxels, below which no shape can be told from another."""
    if len(shape) not in (2, 3) or min(shape) < 8:
        raise ValueError(f"shape {shape}: expected 2 or 3 edges of at least 8 voxels")
