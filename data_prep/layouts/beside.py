"""Which files of a folder are images, which are masks beside them, and which mask is that of which image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.amounts import few
from data_prep.errors import DataListError
from data_prep.label_affixes import of_mask_beside, without_image_words
from data_prep.layouts.common import image_files
from data_prep.quoting import quoted
from data_prep.reading import stem
from data_prep.scans import OWN, sort_files, written_among


@dataclass(frozen=True)
class Beside:
    """The images of a folder, the masks beside them, and the masks and maps that this tool wrote."""

    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    ours: tuple[Path, ...] = ()


def images_and_masks(folder: Path) -> Beside:
    """Sort the image files that lie directly in a folder."""
    files = image_files(folder)
    sorted_files = sort_files(files, folder)
    ours = tuple(sorted_files.left_out.get(OWN, ()))
    known = set(ours)
    images = {path for scan in sorted_files.scans for path in scan.files}
    masks = tuple(path for path in files if path not in images and path not in known)
    return Beside(tuple(path for path in files if path in images), masks, ours)


def refuse_two_of_a_name(masks: Sequence[Path]) -> None:
    """Raises: DataListError: two masks are of one image, such as a.png and a.jpg."""
    seen: dict[str, Path] = {}
    for mask in masks:
        other = seen.setdefault(stem(mask), mask)
        if other is not mask:
            raise DataListError(
                "D550",
                f"{mask.parent}: {other.name} and {mask.name} are both the mask of {stem(mask)}. Keep one of the two; to "
                f"have the other passed over: mv {quoted(other)} {quoted(f'{other}.unused')}",
                str(mask.parent),
            )


def listed(paths: Sequence[Path]) -> str:
    """The number of files, and the names of a few."""
    return f"{len(paths)} ({few([path.name for path in paths])})"


def without_ours(images: list[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Images of a folder but for what prediction wrote among them, where its output was that folder; and what to say of it."""
    ours = written_among(images)
    notes = (f"masks or maps that this tool wrote, left out: {listed(ours)}",) if ours else ()
    return [path for path in images if path not in set(ours)], notes


def pairs(images: Sequence[Path], masks: Sequence[Path]) -> dict[Path, Path]:
    """Mask -> the image of its name; of several, also of its name but for a word that says "image"."""
    exact = {stem(path): path for path in images}
    own = {rest: path for path in images for rest in without_image_words(stem(path))} | exact
    return exact_pairs(images, masks) or (_known(own, masks) if len(masks) > 1 else {})


def exact_pairs(images: Sequence[Path], masks: Sequence[Path]) -> dict[Path, Path]:
    """Mask -> the image of its name."""
    return _known({stem(path): path for path in images}, masks)


def _known(images: Mapping[str, Path], masks: Sequence[Path]) -> dict[Path, Path]:
    return {mask: images[name] for mask in masks for name in names_of_image(mask) if name in images}


def names_of_image(mask: Path) -> tuple[str, ...]:
    """The names that the image of a mask may have: its own, of another format, or without a word that says "mask"."""
    return (stem(mask), *of_mask_beside(stem(mask)))
