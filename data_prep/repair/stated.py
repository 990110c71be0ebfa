"""What the user states of files before a repair writes them anew: nothing in the files themselves would prove it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from data_prep.errors import ConfigError

SLICES, CHANNELS, FIRST = "slices", "channels", "first"
PAGES = (SLICES, CHANNELS, FIRST)


@dataclass(frozen=True)
class Stated:
    """Statements of the user.

    Attributes:
        values: label value -> label value.
        pictures: what lies below transparent pixels may be seen, colours may be converted, masks in JPEG have two values.
        pages: what the pages of a picture, or the volumes of a NIfTI file with four axes, are; None where nobody said it.
        voxel_size: of a volume made of pages, mm: along a row, along a column, from page to page.
        channels: their names, which all files give themselves; () for numbers.
    """

    values: Mapping[int, int] = field(default_factory=dict)
    pictures: bool = False
    pages: str | None = None
    voxel_size: tuple[float, ...] | None = None
    channels: tuple[str, ...] = ()

    @property
    def is_of_raw_files(self) -> str:
        """The first option given that only a raw folder can follow; "" where there is none."""
        given = {"--map": self.values, "--pictures": self.pictures, "--pages": self.pages}
        return next((name for name, value in given.items() if value), "")


def stated(
    values: Mapping[int, int] | None, pictures: bool, pages: str | None, voxel_size: str | tuple[float, ...] | None
) -> Stated:
    """The statements, held to each other.

    Raises:
        ConfigError: `pages` is an unknown word, or `voxel_size` is missing, needless or no three lengths.
    """
    if pages is not None and pages not in PAGES:
        raise ConfigError(f"--pages {pages}: unknown; expected one of {', '.join(PAGES)}")
    if pages == SLICES and voxel_size is None:
        raise ConfigError(
            "--pages slices: a volume needs the size of its voxels, in mm: along a row, along a column, from page to page. "
            'Type for example: --pages slices --voxel-size "0.001,0.001,0.005"'
        )
    if pages != SLICES and voxel_size is not None:
        raise ConfigError("--voxel-size: it is for pages that are slices. Add --pages slices, or leave it out")
    return Stated(values or {}, pictures, pages, _lengths(voxel_size))


def _lengths(given: str | tuple[float, ...] | None) -> tuple[float, ...] | None:
    if given is None:
        return None
    try:
        lengths = tuple(float(word) for word in (given.split(",") if isinstance(given, str) else given))
    except ValueError:
        lengths = ()
    if len(lengths) != 3 or not all(math.isfinite(length) and length > 0 for length in lengths):
        raise ConfigError(f'--voxel-size {given!r}: expected three lengths in mm. Type for example: --voxel-size "0.5,0.5,2"')
    return lengths
