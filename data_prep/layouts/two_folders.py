"""Which two folders hold the images and the masks, where they are not called images/ and labels/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from data_prep.errors import ConfigError
from data_prep.label_affixes import pair_labels
from data_prep.layouts.beside import images_and_masks
from data_prep.layouts.channels import by_ending, names_in_labels, several
from data_prep.layouts.common import folders_in, image_files
from data_prep.layouts.structure_folders import by_structure, folders_within
from data_prep.quoting import quoted
from data_prep.reading import stem
from data_prep.scans import lies_beside_masks, says_labels

LISTED = 4  # pairs of folders in an error
HERE = "."  # the folder of the data set itself


class Folders(NamedTuple):
    """Names of the folder of images and of that of labels, within the data set."""

    images: str
    labels: str


def fitting(root: Path, images_dir: str | None = None, labels_dir: str | None = None) -> list[Folders]:
    """Folders of which one's name says masks, and whose files belong together by their names.

    `images_dir` and `labels_dir`: where the user has said one of them.
    """
    within = [path.name for path in folders_in(root)]
    labels = [labels_dir] if labels_dir else [name for name in within if says_labels(name)]
    images = [images_dir] if images_dir else [HERE, *(name for name in within if name not in labels and not says_labels(name))]
    masks = {name: files for name in labels if (files := masks_in(root / name))}
    scans = {name: names for name in images if masks and (names := _scans(root / name))}
    return [Folders(i, m) for i in scans for m in masks if i != m and _belong(scans[i], masks[m], root / m)]


def _scans(folder: Path) -> list[str]:
    """Names of the images in a folder; [] where masks lie beside them."""
    found = images_and_masks(folder) if folder.is_dir() else None
    return [stem(path) for path in found.images] if found and not found.masks else []


def masks_in(folder: Path) -> dict[str, Path]:
    """Name -> mask in a folder of masks; of a case with a folder for its structures that folder.

    Previews and maps that prediction wrote beside its masks are left out.
    """
    if not folder.is_dir():
        return {}
    files = {stem(path): path for path in image_files(folder) if not lies_beside_masks(path)}
    return files or {path.name: path for path in folders_within(folder)}


def _belong(cases: Sequence[str], masks: Mapping[str, Path], folder: Path) -> bool:
    if pair_labels(cases, masks).labels or several(by_ending(list(map(Path, cases)), names_in_labels(masks.values()))):
        return True
    return not image_files(folder) and bool(by_structure(folder, cases).folders)


def has_labels_within(folder: Path) -> bool:
    """Whether several images lie in the folder itself, and masks of their names in a folder within: a data set, and no case."""
    return len(image_files(folder)) > 1 and any(one.images == HERE for one in fitting(folder))


def the_one(root: Path, fit: Sequence[Folders]) -> Folders | None:
    """The pair of folders; None where there is none.

    Raises:
        ConfigError: there are several.
    """
    if len(fit) > 1:
        lines = "; ".join(f"--images-dir {quoted(one.images)} --labels-dir {quoted(one.labels)}" for one in fit[:LISTED])
        lines += f"; and {len(fit) - LISTED} more such pairs" if len(fit) > LISTED else ""
        one_set = len({one.images for one in fit}) == 1
        joined = " If each is of a structure, put these folders of masks into one, labels/." if one_set else ""
        raise ConfigError(f"{root}: several folders of images and masks.{joined} Choose one pair. Type: {lines}")
    return fit[0] if fit else None
