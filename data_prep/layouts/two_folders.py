"""Which two folders hold the images and the masks, where they are not called images/ and labels/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from data_prep.errors import ConfigError
from data_prep.label_affixes import pair_labels
from data_prep.layouts.beside import images_and_masks
from data_prep.layouts.common import LABEL_WORDS, image_files
from data_prep.quoting import quoted
from data_prep.reading import stem
from data_prep.scans import LABEL_FOLDER

HERE = "."  # the folder of the data set itself


class Folders(NamedTuple):
    """Names of the folder of images and of that of labels, within the data set."""

    images: str
    labels: str


def says_labels(name: str) -> bool:
    """Whether the name of a folder says that it holds masks."""
    return bool(LABEL_FOLDER.fullmatch(name) or LABEL_WORDS.search(name.lower()))


def fitting(root: Path, images_dir: str | None = None, labels_dir: str | None = None) -> list[Folders]:
    """Folders of which one's name says masks, and whose files belong together by their names.

    `images_dir` and `labels_dir`: where the user has said one of them.
    """
    within = [path.name for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith((".", "__"))]
    labels = [labels_dir] if labels_dir else [name for name in within if says_labels(name)]
    images = [images_dir] if images_dir else [HERE, *(name for name in within if name not in labels and not says_labels(name))]
    return [Folders(i, m) for i in images for m in labels if i != m and _belong(root / i, root / m)]


def _belong(images: Path, labels: Path) -> bool:
    if not (images.is_dir() and labels.is_dir()):
        return False
    found = images_and_masks(images)
    if not found.images or found.masks:  # masks beside the images: not these
        return False
    masks = {stem(path): path for path in image_files(labels)}
    masks = masks or {path.name: path for path in labels.iterdir() if path.is_dir() and image_files(path)}
    return bool(pair_labels([stem(path) for path in found.images], masks).labels)


def the_one(root: Path, fit: Sequence[Folders]) -> Folders | None:
    """The pair of folders; None where there is none.

    Raises:
        ConfigError: there are several.
    """
    if len(fit) > 1:
        lines = "; ".join(f"--images-dir {quoted(one.images)} --labels-dir {quoted(one.labels)}" for one in fit[:4])
        raise ConfigError(f"{root}: several folders of images and masks. Choose one pair. Type: {lines}")
    return fit[0] if fit else None
