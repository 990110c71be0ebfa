"""Where the copy of a file lies: as in the data set. Folders of images and masks from elsewhere come to lie in the copy too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.errors import DataListError

FOLDERS = {"images_dir": "images", "labels_dir": "labels"}  # and their names where both folders are called the same


def elsewhere(root: Path, how: Mapping[str, Any]) -> dict[Path, str]:
    """The folders of `how` that lie outside of `root`, as files in them are called by the reader -> their names in the copy."""
    outside = {key: root / how[key] for key in FOLDERS if _is_outside(how.get(key))}
    names = {key: folder.resolve().name for key, folder in outside.items()}
    others = {Path(how[key]).name if how.get(key) else FOLDERS[key] for key in FOLDERS if key not in outside}
    plain = len({*names.values(), *others}) == len(names) + len(others) and all(names.values())
    return {folder: names[key] if plain else FOLDERS[key] for key, folder in outside.items()}


def in_the_copy(root: Path, how: Mapping[str, Any]) -> dict[str, Any]:
    """How the copy is read: as `root`, with the folders from elsewhere by their names in it."""
    places = elsewhere(root, how)
    return {key: places.get(root / value, value) if key in FOLDERS and value else value for key, value in how.items()}


def _is_outside(name: str | None) -> bool:
    return bool(name) and (Path(str(name)).is_absolute() or Path(str(name)).parts[:1] == ("..",))


def within(file: Path, root: Path, places: Mapping[Path, str]) -> Path:
    """The path of a file in the copy.

    Raises:
        DataListError: "D503": it lies outside of the data set.
    """
    for folder, name in places.items():
        if file.is_relative_to(folder):
            return Path(name) / file.relative_to(folder)
    if not file.is_relative_to(root) or ".." in file.relative_to(root).parts:
        raise DataListError("D503", f"{file}: it lies outside {root}; expected all files of the data set below it", str(file))
    return file.relative_to(root)
