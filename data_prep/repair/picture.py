"""PNG labels: only their values can be mapped."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_prep.reading import read_volume


def mapped_picture(path: Path, values: Mapping[int, int]) -> tuple[bytes, str]:
    """A PNG label with its values replaced, 8 bits a pixel; and what was done, empty when nothing.

    Raises:
        ReadError: it is no grey PNG.
    """
    from PIL import Image

    old = read_volume(path).array.T.astype(np.int64)  # (H, W), as Pillow has it
    counts = {f"{value} to {new}": int((old == value).sum()) for value, new in values.items() if (old == value).any()}
    new = old.copy()
    for value, other in values.items():
        new[old == value] = other
    if not counts or new.min() < 0 or new.max() > 255:
        return b"", ""
    stream = io.BytesIO()
    Image.fromarray(new.astype(np.uint8)).save(stream, format="PNG")
    return stream.getvalue(), ", ".join(f"{change} in {count} pixels" for change, count in counts.items())
