"""The scanners: what one site's images have in common, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from data_prep.phantom.shapes import Triple
from data_prep.phantom.tissues import Tissue


@dataclass(frozen=True)
class Geometry:
    """How a site places its grid: voxels along the three axes, `spacing` and point spread `psf` (sigma) in mm.

    `orientation` names the direction in which each voxel axis grows ("RAS", ...); `tilt` (degrees about x, y, z) turns
    the grid out of the patient's axes. An axis of one voxel makes a plane.
    """

    shape: tuple[int, int, int]
    spacing: Triple
    psf: Triple
    orientation: str
    tilt: Triple


@dataclass(frozen=True)
class Scanner:
    """One site: tissue signal relative to 1, then what the machine does to it.

    `gamma` is the exponent on the signal, `bias` the rms of the logarithm of the shading, `noise` the sigma of each
    Rician channel relative to 1, `scale` the stored value of signal 1 (arbitrary units in 3D; 2D images are 8-bit).
    """

    contrast: Mapping[Tissue, float]
    gamma: float
    bias: float
    noise: float
    scale: float
    volume: Geometry
    plane: Geometry


def _contrast(fluid: float, cortex: float, white: float, nucleus: float, skin: float) -> Mapping[Tissue, float]:
    """A full table from five numbers. A decoy has the very signal of the labelled tissue that it imitates."""
    grey = {Tissue.CORTEX: cortex, Tissue.LOBE: cortex, Tissue.NUCLEUS: nucleus, Tissue.DECOY_GREY: nucleus}
    wet = {Tissue.FLUID: fluid, Tissue.VENTRICLE: fluid, Tissue.DECOY_FLUID: fluid}
    return MappingProxyType({Tissue.AIR: 0.0, Tissue.SKIN: skin, Tissue.BONE: 0.08, Tissue.WHITE: white, **grey, **wet})


SITES: Mapping[str, Scanner] = MappingProxyType(
    {
        # T1-like: fluid dark, grey matter grey, white matter and fat bright.
        "A": Scanner(
            contrast=_contrast(fluid=0.24, cortex=0.52, white=0.80, nucleus=0.58, skin=0.95),
            gamma=1.0,
            bias=0.08,
            noise=0.035,
            scale=1000.0,
            volume=Geometry((36, 42, 36), (2.0, 2.0, 2.0), (0.7, 0.7, 0.7), "RAS", (3.0, -4.0, 5.0)),
            plane=Geometry((96, 104, 1), (0.8, 0.8, 3.0), (0.4, 0.4, 0.8), "RAS", (2.0, -2.0, 3.0)),
        ),
        # The order of grey and white matter is turned round, the fluid stays darkest; sagittal thick slices.
        "B": Scanner(
            contrast=_contrast(fluid=0.26, cortex=0.80, white=0.62, nucleus=0.44, skin=0.55),
            gamma=1.2,
            bias=0.16,
            noise=0.045,
            scale=260.0,
            volume=Geometry((52, 45, 23), (1.6, 1.6, 3.2), (0.8, 0.8, 1.0), "PSR", (-9.0, 6.0, 8.0)),
            plane=Geometry((80, 92, 1), (0.95, 0.95, 4.0), (0.6, 0.6, 1.2), "RAS", (-4.0, 3.0, -9.0)),
        ),
    }
)
