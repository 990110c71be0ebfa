"""The tissues a phantom is made of, and which of them carry a label."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

LABELS: dict[str, str] = {"0": "background", "1": "cortex", "2": "nucleus", "3": "ventricle"}
"""Label value (as a JSON key) to name, as written to `labels.json`."""


class Tissue(IntEnum):
    """Material of one point. The order has no meaning; contrast tables are keyed by member."""

    AIR = 0
    SKIN = 1
    BONE = 2
    FLUID = 3
    CORTEX = 4
    WHITE = 5
    NUCLEUS = 6
    VENTRICLE = 7
    DECOY_GREY = 8
    DECOY_FLUID = 9
    LOBE = 10


_LABELLED: dict[Tissue, int] = {Tissue.CORTEX: 1, Tissue.NUCLEUS: 2, Tissue.VENTRICLE: 3}


def label_of_tissue() -> NDArray[np.uint8]:
    """Look-up table of shape (tissues,), uint8: tissue code to label value. Everything unlabelled is background."""
    table = np.zeros(len(Tissue), dtype=np.uint8)
    for tissue, label in _LABELLED.items():
        table[tissue] = label
    return table
