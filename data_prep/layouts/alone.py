"""A folder of images alone, as a model is given to segment; no layout of a data set, which has masks."""

from __future__ import annotations

from pathlib import Path

from data_prep.cases import Case, Source
from data_prep.layouts.beside import images_and_masks
from data_prep.layouts.common import folders_in
from data_prep.reading import stem


def images_alone(root: Path) -> Source | None:
    """The images that lie directly in a folder, a case for each; None where folders or masks lie there too, or no image."""
    if not root.is_dir() or folders_in(root):
        return None
    found = images_and_masks(root)
    if found.masks or not found.images:
        return None
    cases = tuple(Case(stem(path), (path,), None) for path in found.images)
    return Source(root, "images", root.name, cases, labelled=False)
