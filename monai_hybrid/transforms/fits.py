"""Whether an image fits into the machine's memory on the network's grid: a wrong voxel size asks for a thousand times more."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from data_prep.amounts import by
from monai_hybrid.errors import DataError

COPIES, BYTES = 2, 4  # that resampling holds at once, and of a float32
GIB = 1 << 30


def machine_memory() -> int | None:
    """All memory of the machine in bytes; None where the system does not say."""
    try:
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def refuse_too_large(name: str, shape: Sequence[int], own: Sequence[float], target: Sequence[float]) -> None:
    """Refuse an image that resampling cannot hold: the system would end the whole command, without a word.

    Args:
        name: of the file.
        shape: (C, X, Y[, Z]), as read.
        own, target: edges of its voxels and of those of the new grid, in mm.

    Raises:
        DataError: it takes more than there is, `COPIES` times.
    """
    memory = machine_memory()
    sizes = [max(1, round(n * old / new)) for n, old, new in zip(shape[1:], own, target, strict=True)]
    needed = COPIES * BYTES * shape[0] * math.prod(sizes)
    if memory is None or needed <= memory:
        return
    raise DataError(
        f"{name}: {by(shape[1:])} voxels of {by(own)} mm become {by(sizes)} of {by(target)} mm, the network's; that takes "
        f"{needed / GIB:.0f} GB, and the machine has {memory / GIB:.0f} GB. Where the header's voxel size is wrong, set it "
        "right; else work coarser: --spacing"
    )
