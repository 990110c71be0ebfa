"""Which two folders hold the images and the masks, where they are not called images/ and labels/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from data_prep.errors import ConfigError
from data_prep.label_affixes import pair_labels
from data_prep.layouts.beside import images_and_masks
from data_prep.layouts.common import LABEL_WORDS, image_files
from data_prep.layouts.structure_folders import by_structure, folders_within
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
    labels = [name for name in labels if (root / name).is_dir()]
    cases = {name: _cases(root / name) for name in images if labels and (root / name).is_dir()}
    return [Folders(i, m) for i, own in cases.items() for m in labels if own and i != m and _belong(own, root / m)]


def _cases(images: Path) -> list[str]:
    """Names of the images in a folder; none where masks lie beside them."""
    found = images_and_masks(images)
    return [] if found.masks else [stem(path) for path in found.images]


def _belong(cases: Sequence[str], labels: Path) -> bool:
    masks = {stem(path): path for path in image_files(labels)}
    if masks:
        return bool(pair_labels(cases, masks).labels)
    folders = {path.name: path for path in folders_within(labels)}
    return bool(pair_labels(cases, folders).labels or by_structure(labels, cases).folders)


def the_one(root: Path, fit: Sequence[Folders]) -> Folders | None:
    """The pair of folders; None where there is none.

    Raises:
        ConfigError: there are several.
    """
    if len(fit) > 1:
        lines = "; ".join(f"--images-dir {quoted(one.images)} --labels-dir {quoted(one.labels)}" for one in fit[:4])
        one_set = len({one.images for one in fit}) == 1
        joined = " If each is of a structure, put these folders of masks into one, labels/." if one_set else ""
        raise ConfigError(f"{root}: several folders of images and masks.{joined} Choose one pair. Type: {lines}")
    return fit[0] if fit else None
