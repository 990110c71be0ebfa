"""Where the number of a slice goes in the names of a data set's files, so that those of one case stay those of one case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from data_prep.cases import Case, Source
from data_prep.errors import HybridError
from data_prep.label_affixes import SEPARATORS, of_mask_beside, without_image_words
from data_prep.layouts import AS_THEY_LIE, JOINED, READERS, read_source
from data_prep.layouts.loose_channels import loose_channels
from data_prep.reading import stem
from data_prep.scans import CHANNEL
from data_prep.structures import label_files

NNUNET = "nnunet"


class Slot(NamedTuple):
    """A file below the source, without its ending, parted where the number goes: `images/p1` and `_t1`, `p1` and `/ct`.

    `of` is the first image of the case, on whose grid the file has to lie; None of that image itself. `mask`: it is no image.
    `loose`: that it is of this case was told by its name alone, so that it may lie elsewhere.
    """

    before: str
    after: str = ""
    of: Path | None = None
    mask: bool = False
    loose: bool = False

    @property
    def case(self) -> str:
        """What all files of the case are called by: p1."""
        return self.before.rpartition("/")[2]

    def numbered(self, k: int) -> str:
        """The name of slice `k`, from 0, of this file."""
        return f"{self.before}_slice{k:03d}{self.after}.nii.gz"


def slots(root: Path, files: Sequence[Path]) -> dict[Path, Slot]:
    """File -> its `Slot`. A data set tells by its layout which files are of one case, other folders by their names alone."""
    found: dict[Path, Slot] = {}
    for names, images, masks, loose in _cases(root, files):
        for file in (*images, *masks):
            if file in found or not file.is_relative_to(root):
                continue
            before, after = _parted(_below(file, root), names)
            found[file] = Slot(before, after, None if file == images[0] else images[0], file in masks, loose)
    return {file: found.get(file) or Slot(*_parted(_below(file, root), ())) for file in files}


Files = Sequence[Path]
Own = tuple[Sequence[str], Files, Files, bool]


def _cases(root: Path, files: Sequence[Path]) -> Iterator[Own]:
    """The names that a case may have in those of its files, its images, its masks, and whether names alone made it a case."""
    source: Source | None
    try:
        source = read_source(root)
    except HybridError:  # images alone, or nothing that is known
        source = None
    if source is not None and source.layout not in (*AS_THEY_LIE, *JOINED, *READERS):
        source = None
    known: set[Path] = set()
    if source is not None:
        for case in source.cases:
            masks = label_files(source, case)
            known.update((*case.images, *masks))
            yield _names(case, masks, root), case.images, masks, False
    rest = [file for file in files if file not in known]
    yield from _loose(rest, source is not None and source.layout == NNUNET)


def _loose(files: Files, numbered: bool) -> Iterator[Own]:
    """Images that no data set names as cases, such as tests without masks; `numbered`: each ends in the number of a channel."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        by_folder[file.parent].append(file)
    for own in by_folder.values():
        if numbered:
            cases: dict[str, dict[str, Path]] = defaultdict(dict)
            for file in own:
                if match := CHANNEL.fullmatch(stem(file)):
                    cases[match["case"]][match["index"]] = file
        else:
            cases = loose_channels(own)
        yield from (([name], tuple(images.values()), (), True) for name, images in cases.items())


def _names(case: Case, masks: Iterable[Path], root: Path) -> list[str]:
    """What the case may be called in its files, likeliest first: what image and mask share, its id, that without its part."""
    names, rest = [case.case_id], case.case_id
    for folder in case.images[0].relative_to(root).parts[:-1]:
        if rest.startswith(f"{folder}_"):
            names.append(rest := rest.removeprefix(f"{folder}_"))
    image = stem(case.images[0])
    of_image = {image, *without_image_words(image)}
    shared = {name for mask in masks for name in (stem(mask), *of_mask_beside(stem(mask))) if name in of_image}
    return [*sorted(shared, key=len, reverse=True), *names] if len(case.images) == 1 else names


def _below(file: Path, root: Path) -> str:
    return file.relative_to(root).with_name(stem(file)).as_posix()


def _parted(path: str, names: Sequence[str]) -> tuple[str, str]:
    """Before and after the number: at the folder of the case, or after its name, or before a word that says "mask"."""
    *folders, name = path.split("/")
    at = next((at for at in reversed(range(len(folders))) if folders[at] in names), None)
    if at is not None:
        return "/".join(folders[: at + 1]), "".join(f"/{part}" for part in (*folders[at + 1 :], name))
    begins = (own for own in names if own == name or (name.startswith(own) and SEPARATORS.match(name, len(own))))
    own = next(begins, None) or next((rest for rest in of_mask_beside(name) if name.startswith(rest)), name)
    return path[: len(path) - len(name) + len(own)], name[len(own) :]
