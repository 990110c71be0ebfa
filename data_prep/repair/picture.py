"""Labels that are pictures: only their values can be mapped."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_prep.amounts import few
from data_prep.pictures import EIGHT_BITS, FORMATS, LARGEST_VALUE, LOSSY, png_mask
from data_prep.repair.fixes import TOLD
from data_prep.roles import read_label


def mapped_picture(path: Path, values: Mapping[int, int]) -> tuple[bytes, str]:
    """A label with its values replaced, in the format of its file, 8 or 16 bits a pixel; and what was done, empty when nothing.

    JPEG stays as it is: it does not keep values.

    Raises:
        ReadError: it is no picture of one value per pixel.
    """
    if path.suffix.lower() in LOSSY:
        return b"", ""
    old = read_label(path).array.astype(np.int64)
    found = dict(zip(*(part.tolist() for part in np.unique(old, return_counts=True)), strict=True))
    counts = {f"{value} to {other}": found[value] for value, other in values.items() if value in found}
    new = old.copy()
    for value, other in values.items():
        if value in found:
            new[old == value] = other
    kind = FORMATS[path.suffix.lower()]
    if not counts or new.min() < 0 or new.max() > (255 if kind in EIGHT_BITS else LARGEST_VALUE):
        return b"", ""
    stream = io.BytesIO()
    png_mask(new).save(stream, format=kind)
    return stream.getvalue(), few([f"{change} in {count} pixels" for change, count in counts.items()], TOLD)
