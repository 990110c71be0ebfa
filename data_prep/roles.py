"""A file read for what it is: an image with the channels that are asked for, or a label with one value a voxel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from data_prep.colour import Colour, as_image, as_label
from data_prep.flat import flattened
from data_prep.reading import read_volume
from data_prep.volume import Volume


def read_image(path: Path, colour: Colour = None, flat: bool = False, volume_of: Callable[[], Volume] | None = None) -> Volume:
    """Read an image.

    Args:
        path: the file.
        colour: which colours of a picture are its channels, None for pictures of one grey value; see `colour.as_image`.
        flat: read a volume of one slice as a picture of two axes.
        volume_of: reads what `path` stands for where that is no single file.

    Raises:
        ReadError: it cannot be read, or holds colours though none are asked for.
        EnvironmentFault: the format needs SimpleITK, which is not installed.
    """
    volume = volume_of() if volume_of is not None else read_volume(path)
    return as_image(flattened(volume) if flat else volume, colour)


def read_label(path: Path, flat: bool = False, volume_of: Callable[[], Volume] | None = None) -> Volume:
    """Read a label; masks of three equal colours count as one value, masks with a colour table by their index.

    Raises:
        ReadError: it cannot be read, or its colours differ.
        EnvironmentFault: the format needs SimpleITK, which is not installed.
    """
    volume = volume_of() if volume_of is not None else read_volume(path)
    return as_label(flattened(volume) if flat else volume)
