"""Group C: grey values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.reliability.faults.registry import ACCEPTED, Fault, on_image
from benchmarks.reliability.tiny import SHAPE, decathlon, edit_header, noise, save


def _with(value: float) -> Callable[[Path], object]:
    array = noise(seed=9).astype(np.float32)
    array[2, 3, 4:6] = value
    return lambda path: save(path, array)


def _hounsfield(offset: int = 0) -> list[np.ndarray]:
    images = [noise(seed=seed, low=-1000, high=1000) for seed in range(4)]
    return [images[0] + np.int16(offset), *images[1:]]


def _colour() -> np.ndarray:
    return np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])


PLACE = r"2 of 720 voxels .* first at voxel \(2, 3, 4\) = \(2\.0, 3\.0, 4\.0\) mm"
BYTES = [noise(seed=seed, high=256).astype(np.uint8) for seed in range(3)]

FAULTS = [
    Fault("C01", "NaN", "D201", on_image(_with(np.nan)), message=PLACE),
    Fault("C02", "Inf", "D201", on_image(_with(np.inf)), message=PLACE),
    Fault("C03", "constant image", "D202", on_image(lambda p: save(p, np.full(SHAPE, 7, np.int16))), message="are 7"),
    Fault("C04", "all zero", "D202", on_image(lambda p: save(p, np.zeros(SHAPE, np.int16))), message="are 0"),
    Fault("C05", "value 3e38", "D203", on_image(_with(3e38)), message="first at voxel"),
    Fault(
        "C06",
        "CT with another zero point",
        "D205",
        lambda folder: decathlon(folder, _hounsfield(1024), "CT"),
        message="3 of the other images go below -500 HU",
    ),
    Fault("C06", "CT in Hounsfield units", ACCEPTED, lambda folder: decathlon(folder, _hounsfield(), "CT")),
    Fault("C07", "RGB voxels", "D009", on_image(lambda p: save(p, _colour())), message="colours"),
    Fault("C08", "complex voxels", "D009", on_image(lambda p: save(p, noise().astype(np.complex64))), message="complex"),
    Fault("C09", "scale factor 0 (none, by the standard)", ACCEPTED, on_image(lambda p: edit_header(p, scl_slope=0))),
    Fault(
        "C10", "CT clipped to 8 bits", "D206", lambda folder: decathlon(folder, BYTES, "CT"), names="case_", message="0 to 255"
    ),
    Fault("C10", "MRI in 8 bits", ACCEPTED, lambda folder: decathlon(folder, BYTES, "MRI")),
]
