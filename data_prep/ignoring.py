"""Voxels that nobody annotated: in a label file one value stands for them, in memory -1.

nnU-Net's `"ignore": N` among the labels of dataset.json, or `--ignore-label N`. So three contoured slices of a volume are a
label: the rest of it says nothing, which is another thing than background.
"""

from __future__ import annotations

import numpy as np

from data_prep.errors import ConfigError
from data_prep.volume import Array

IGNORED = -1
IGNORE = "ignore"  # nnU-Net's name of the value
LARGEST = 2**31 - 1


def checked_ignore(value: int | None) -> int | None:
    """The value of `--ignore-label`.

    Raises:
        ConfigError: 0, which is the background, or a number that no label file holds.
    """
    if value == 0:
        raise ConfigError(
            "--ignore-label 0: 0 is the background; expected the value of voxels that nobody annotated, such as 255"
        )
    if value is not None and abs(value) > LARGEST:
        raise ConfigError(f"--ignore-label {value}: expected a whole number from -{LARGEST} to {LARGEST}, such as 255")
    return value


def marked(label: Array, value: int | None) -> Array:
    """Whole numbers, any shape and type, with `IGNORED` where the file holds `value`; the label itself where it holds none."""
    if value is None or not (here := label == value).any():
        return label
    signed = label.astype(np.int64)
    signed[here] = IGNORED
    return signed
