"""Names for results that a command proposes: a line that is pasted must not be refused, or mix two runs."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from data_prep.home import at_home

ADAPTED, SOURCE, MASKS, PREPARED = "runs/adapted", "runs/source", "masks", "prepared"


def free(name: str | Path) -> str:
    """A folder or file that holds nothing yet: `name` itself, else `name_2`, `name_3`, ...; of a file before its ending.

    Args:
        name: as it would be typed where the user works.
    """
    path = Path(name)
    if not _taken(path):
        return str(name)
    is_file = at_home(path).is_file()
    end = "".join(path.suffixes[-1:]) if is_file else ""
    stem = path.name.removesuffix(end)
    return str(next(other for number in count(2) if not _taken(other := path.with_name(f"{stem}_{number}{end}"))))


def _taken(path: Path) -> bool:
    """Whether anything is there; a folder that cannot be looked into counts as taken, an empty one does not."""
    place = at_home(path)
    try:
        return bool(next(os.scandir(place), None)) if place.is_dir() else os.path.lexists(place)
    except OSError:
        return True


def beside(folder: Path, ending: str) -> Path:
    """A folder of the same name and an ending, in the same place; also of `.` and `..`, which have no names."""
    whole = folder if folder.name not in ("", "..") else folder.resolve()
    return whole.with_name(f"{whole.name}{ending}")


def proposed(source: Path, ending: str) -> Path:
    """A folder for results of `source` to propose: where the user works, unless that is in the data; a free one.

    Of a file `scan.nii.gz` it is called `scan` and the ending.
    """
    whole, here = source.resolve(), Path.cwd()
    if whole.is_file():
        name = f"{Path(whole.name.removesuffix('.gz')).stem}{ending}"
        return Path(free(source.with_name(name) if here.is_relative_to(whole.parent) else name))
    if here.is_relative_to(whole):
        return Path(free(beside(source, ending)))
    return Path(free(f"{whole.name}{ending}"))
