"""Which of a picture's colours are image channels: red, green and blue, some of them, or their grey value."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.cases import Source
from data_prep.errors import ConfigError
from data_prep.pictures import is_picture
from data_prep.volume import Array, ReadError, Volume

RGB = ("red", "green", "blue")
GREY = "grey"
COMPONENTS = (*RGB, GREY)
WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue in a grey value: ITU-R BT.601, as most programs convert
Colour = tuple[str, ...] | None


def parse_colour(given: Any, option: str = "--channels") -> Colour:
    """The components that a text ("red,green"), a list or None names.

    Raises:
        ConfigError: an unknown name, a name twice, or grey beside a colour.
    """
    if given is None:
        return None
    words = given.split(",") if isinstance(given, str) else list(given) if isinstance(given, Sequence) else [given]
    names = tuple(str(word).strip(" []'\"").lower().replace("gray", GREY) for word in words)
    if not names or len(set(names)) < len(names) or not set(names) <= set(COMPONENTS) or (GREY in names and len(names) > 1):
        raise ConfigError(
            f"{option} {given}: expected some of {', '.join(RGB)}, each once, or {GREY} alone. Type: {option} green"
        )
    return names


def chosen_colour(channels: str | None, grey: bool) -> Colour:
    """What `--channels` and `--grey` ask for.

    Raises:
        ConfigError: both are given, or a name is unknown.
    """
    if channels is not None and grey:
        raise ConfigError("--grey: given beside --channels; expected one of them. Leave one out")
    return (GREY,) if grey else parse_colour(channels)


def as_image(volume: Volume, colour: Colour) -> Volume:
    """The channels of a file that `colour` names; volumes that are no pictures stay as they are.

    Args:
        volume: as read from the file.
        colour: names of the channels, in their order; None expects one grey value a pixel. The colours of a grey picture are
            all equal, and a picture whose colours are all equal is grey.

    Returns:
        Volume (W, H) for one channel, (W, H, C) for several.

    Raises:
        ReadError: a colour picture though `colour` is None, or a transparent one.
    """
    if not is_picture(volume.path):
        return volume
    array = _coloured(volume)
    grey = array if array.ndim == 2 else array[..., 0] if bool((array == array[..., :1]).all()) else None
    if colour is None and grey is None:
        raise ReadError("colour", "it is a colour picture; expected one grey value per pixel")
    pixel_type = str(array.dtype) if volume.pixel_type == "palette" else volume.pixel_type
    planes = [_component(array, grey, name) for name in colour or (GREY,)]
    channels = planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)
    return replace(volume, array=channels, palette=None, pixel_type=pixel_type, grey=grey is not None)


def _coloured(volume: Volume) -> Array:
    """(W, H) or (W, H, 3); indices are looked up in their table."""
    if volume.palette is None:
        return volume.array
    looked_up: Array = volume.palette[volume.array]
    hidden = looked_up[..., 3] != 255
    if hidden.any():
        raise ReadError("transparent", f"{int(hidden.sum())} of its {hidden.size} pixels are transparent")
    return looked_up[..., :3]


def _component(array: Array, grey: Array | None, name: str) -> Array:
    if grey is not None:
        return grey
    if name == GREY:
        mixed = array.astype(np.float64) @ np.asarray(WEIGHTS)
        return np.rint(mixed).astype(array.dtype)
    return array[..., RGB.index(name)]


def as_label(volume: Volume) -> Volume:
    """One class value a pixel: the index where there is a colour table, and the one value of three equal colours.

    Raises:
        ReadError: the colours differ.
    """
    if not is_picture(volume.path) or volume.array.ndim == 2:
        return volume
    if not bool((volume.array == volume.array[..., :1]).all()):
        colours = np.unique(volume.array.reshape(-1, 3), axis=0)
        seen = ", ".join(str(tuple(int(v) for v in colour)) for colour in colours[-3:])
        raise ReadError("mask_colours", f"a mask of {len(colours)} colours, such as {seen}; expected one number per pixel")
    return replace(volume, array=volume.array[..., 0])


def with_colour(source: Source, wanted: Colour) -> Source:
    """The data set with its channels named: as asked, or red, green and blue where a picture has colours.

    Raises:
        ConfigError: colours are asked for, but no file is a picture that holds them.
    """
    pictures = [image for case in source.cases if len(case.images) == 1 for image in case.images if is_picture(image)]
    if wanted is not None:
        if not pictures:
            option = "--grey" if wanted == (GREY,) else "--channels"
            raise ConfigError(f"{option}: chooses colours of pictures, of which {source.root} has none. Leave {option} out")
        return replace(source, channels=wanted, colour=wanted)
    if pictures and (len(source.channels) == len(RGB) or any(map(_has_colours, pictures))):
        return replace(source, channels=RGB, colour=RGB)
    return source


def _has_colours(path: Path) -> bool:
    """Whether a picture holds a pixel that is not grey; an unreadable one does not, and is reported elsewhere."""
    from data_prep.reading import read_volume

    if not _may_have_colours(path):
        return False
    try:
        as_image(read_volume(path), None)
    except ReadError as fault:
        return fault.kind == "colour"
    return False


def _may_have_colours(path: Path) -> bool:
    """By the header alone, so that a folder of grey pictures is not read twice."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return picture.mode not in ("1", "L", "LA", "I", "I;16", "I;16L", "I;16B", "F")
    except Exception:  # whatever it is, reading the file says it better
        return False
