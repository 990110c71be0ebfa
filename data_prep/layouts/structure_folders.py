"""A folder for each structure: labels/left_lung/p1.png, labels/right_lung/p1.png beside images/p1.png; or a mask for each
structure in one folder, labels/p1_left_lung.png.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.label_affixes import case_of, pair_labels, without_label_words
from data_prep.label_names import BACKGROUND, alike_name
from data_prep.layouts.beside import refuse_two_of_a_name
from data_prep.layouts.common import folders_in, image_files, uncounted
from data_prep.reading import stem
from data_prep.spelling import in_one_spelling
from data_prep.structure_names import by_name, take_name


@dataclass
class ByStructure:
    """The folders that hold a structure, case -> structure -> mask, masks without an image, and folders that hold none."""

    folders: list[str] = field(default_factory=list)
    cases: dict[str, dict[str, Path]] = field(default_factory=dict)
    orphans: list[Path] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def folders_within(place: Path) -> list[Path]:
    """Folders that hold image files themselves; hidden ones and those of archives are left out."""
    return [path for path in folders_in(place) if image_files(path)]


def structure_of(folder: Path) -> str:
    """The name of the structure in that of its folder: without its number in a list and a word that says "mask"."""
    plain = uncounted(folder.name)
    return next((rest for rest in without_label_words(plain) if rest), plain)


def by_structure(place: Path, cases: Sequence[str]) -> ByStructure:
    """Look for folders within `place` whose masks are called like the cases.

    Raises:
        DataListError: two folders are of one structure, or the name of one cannot be told to others.
    """
    found, names = ByStructure(), dict[str, Path]()
    for folder in folders_within(place):
        files = image_files(folder)
        pairs = pair_labels(cases, {stem(path): path for path in files}, some=True)
        if not pairs.labels:
            found.others.append(folder.name)
            continue
        name = structure_of(folder)
        if alike_name(name) == BACKGROUND:
            continue
        take_name(name, folder, names, place)
        refuse_two_of_a_name(files)
        found.folders.append(folder.name)
        found.orphans += pairs.orphans
        for case, mask in pairs.labels.items():
            found.cases.setdefault(case, {})[name] = mask
    return found


def by_names(masks: Sequence[Path], cases: Sequence[str]) -> ByStructure:
    """Masks called like their case and a structure, in one folder: labels/p1_liver.png, labels/p1_spleen.png.

    Nothing is found where a mask is of no case, or none has two: then a word that all masks carry says "mask", not what of. Nor
    where a name says no more than "mask", as of two readers, or a number.

    Raises:
        DataListError: two masks of a case are of one structure, or the name of one cannot be told to others.
    """
    known = set(cases)
    of: dict[str, list[Path]] = defaultdict(list)
    for mask in masks:
        case, rest = case_of(stem(mask), known)
        if not case or rest.isdigit() or not known.isdisjoint(without_label_words(stem(mask))):
            return ByStructure()
        of[case].append(mask)
    if all(len(own) == 1 for own in of.values()):
        return ByStructure()
    return ByStructure(cases=in_one_spelling({case: by_name(own, case, own[0].parent) for case, own in of.items()}))
