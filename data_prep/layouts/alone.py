"""A folder of images alone, as a model is given to segment; no layout of a data set, which has masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.cases import Case, Source
from data_prep.errors import ConfigError
from data_prep.layouts import read_source
from data_prep.layouts.beside import images_and_masks
from data_prep.layouts.common import folders_in
from data_prep.reading import stem

OF_IMAGES = ("layout", "accept")  # words that hold for images without masks as well


def source_or_images(path: Path, **how: Any) -> Source:
    """The data set as `read_source` reads it with `how`, or a folder of images without masks, which `predict` takes.

    Raises:
        ConfigError: of `read_source`, where the folder does not hold images alone, or `how` says more of it.
        DataError: of `read_source`; a description that is damaged is no folder without masks.
    """
    try:
        return read_source(path, **how)
    except ConfigError:
        told = how.get("layout", "auto") != "auto" or any(how[name] for name in how if name not in OF_IMAGES)
        alone = None if told else images_alone(path)
        if alone is None:
            raise
        return alone


def one_image(path: Path) -> Source:
    """One image file, as a data set of one case without a label."""
    return Source(path.parent, "image", path.name, (Case(stem(path), (path,), None),), labelled=False)


def images_alone(root: Path) -> Source | None:
    """The images that lie directly in a folder, a case for each; None where folders or masks lie there too, or no image."""
    if not root.is_dir() or folders_in(root):
        return None
    found = images_and_masks(root)
    if found.masks or not found.images:
        return None
    cases = tuple(Case(stem(path), (path,), None) for path in found.images)
    return Source(root, "images", root.name, cases, labelled=False)
