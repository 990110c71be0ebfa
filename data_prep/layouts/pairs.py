"""Image and mask side by side in one folder, told apart by their names.

p1.nii.gz, p1_seg.nii.gz; scan.nrrd, scan-label.nrrd                      (ITK-SNAP, 3D Slicer)
volume-0.nii, segmentation-0.nii                                          (LiTS)
p1.jpg, p1_mask.png; p1.jpg, p1.png
p1_t1.nii.gz, p1_flair.nii.gz, p1_seg.nii.gz                              (channels)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from data_prep.amounts import few, plural
from data_prep.cases import Case, Source, SourceFault
from data_prep.errors import DataListError
from data_prep.label_affixes import of_mask_beside
from data_prep.layouts.beside import Beside, exact_pairs, images_and_masks, listed, pairs
from data_prep.layouts.channels import usual_channels
from data_prep.layouts.common import described, folders_in, modality_of, names_beside
from data_prep.reading import stem
from data_prep.spelling import in_one_spelling
from data_prep.structure_names import SEPARATORS

Channels = dict[str, dict[str, Path]]  # case -> channel -> image


class _Cases(NamedTuple):
    """What was made of the images: cases, those that lack a channel, and images that are left over."""

    cases: tuple[Case, ...]
    channels: tuple[str, ...] = ("image",)
    faults: tuple[SourceFault, ...] = ()
    others: tuple[Path, ...] = ()


def is_pairs(root: Path) -> bool:
    """Whether masks lie beside their images here."""
    found = images_and_masks(root)
    return bool(pairs(found.images, found.masks) or _by_case(found))


def are_several(root: Path) -> bool:
    """Whether more than one image has its mask beside it, so that this is no folder of one case."""
    found = images_and_masks(root)
    return len(set(exact_pairs(found.images, found.masks).values())) > 1


def read(root: Path) -> Source:
    """List the cases of a folder in which each mask lies beside its image or its channels.

    Raises:
        DataListError: there is no mask of an image's name, two of one image, or the channels cannot be told.
    """
    found = images_and_masks(root)
    paired, channels = pairs(found.images, found.masks), _by_case(found)
    several = bool(channels) and len(usual_channels(channels.values()).names) > 1  # p1_0000, p1_0001, p1_seg
    if paired and (not several or exact_pairs(found.images, found.masks)):
        mask_of = _one_each({mask: image.name for mask, image in paired.items()}, root)
        made = _Cases(tuple(Case(stem(image), (image,), mask_of.get(image.name)) for image in found.images))
    elif channels:
        made = _of_channels(root, found, channels)
    else:
        seen = plural(len(found.images), "image") + (f" ({few([path.name for path in found.images])})" if found.images else "")
        raise DataListError("D503", f"{root}: no mask beside its image; it holds {seen}. Expected names like p1 and p1_seg")
    names = names_beside(root, "labels")
    table, told = (None, ()) if names else described(root, ".")
    used = {case.label for case in made.cases} | {fault.file for fault in made.faults}
    return Source(
        root,
        "pairs",
        root.resolve().name,
        made.cases,
        names or table,
        made.channels if len(made.channels) > 1 else ("image",),
        modality_of(made.channels),
        orphans=tuple(mask for mask in found.masks if mask not in used),
        notes=(*_notes(root, found, made), *told),
        faults=made.faults,
        table_of_names=table is not None,
    )


def _one_each(images: Mapping[Path, str], root: Path) -> dict[str, Path]:
    """Name of an image or a case -> its mask; `images` by their masks.

    Raises:
        DataListError: two masks are of one image.
    """
    masks: dict[str, list[Path]] = defaultdict(list)
    for mask, image in images.items():
        masks[image].append(mask)
    for image, own in masks.items():
        if len(own) > 1:
            raise DataListError(
                "D550",
                f"{root}: {image} has {len(own)} masks: {few([mask.name for mask in own])}. Keep one beside each image; "
                "where each is of one structure, give each case a folder",
            )
    return {image: own[0] for image, own in masks.items()}


def _by_case(found: Beside) -> Channels:
    """Images that go on where the name of a mask ends: of p1_seg p1_t1 and p1_flair. {} where there are none."""
    bases = {name for mask in found.masks for name in of_mask_beside(stem(mask))}
    cases: Channels = defaultdict(dict)
    for image in found.images:
        name = stem(image)
        cuts = [match for match in SEPARATORS.finditer(name) if name[: match.start()] in bases]
        if cuts:  # the longest: of a and a_b it is a_b that a_b_t1 belongs to
            cases[name[: cuts[-1].start()]][name[cuts[-1].end() :]] = image
    return dict(cases)


def _of_channels(root: Path, found: Beside, by_case: Channels) -> _Cases:
    """Raises: DataListError: each case has other channels, so that they are none; or two masks."""
    cases = in_one_spelling(by_case, str.casefold)
    most, times = usual_channels(cases.values())
    if len(cases) > 1 and times == 1:
        some = next(iter(cases.values()))
        raise DataListError(
            "D550",
            f"{root}: channels cannot be told: {few([path.name for path in some.values()])}, and other endings "
            "for each other mask. Give channels the same ending for each case, such as _t1 and _flair",
        )
    masks = {mask: name for mask in found.masks for name in of_mask_beside(stem(mask)) if name in cases}
    mask_of, channels = _one_each(masks, root), tuple(sorted(most))
    whole = {name: own for name, own in cases.items() if most <= set(own)}
    faults = tuple(
        SourceFault("D551", f"no {', no '.join(sorted(most - set(own)))}; there are {few(sorted(own))}", name, mask_of[name])
        for name, own in cases.items()
        if name not in whole
    )
    of_cases = {path for own in cases.values() for path in own.values()}
    unlabelled = _without_masks([image for image in found.images if image not in of_cases], channels)
    made = [Case(name, tuple(own[c] for c in channels), mask_of.get(name)) for name, own in (whole | unlabelled).items()]
    in_faults = {path for name, own in cases.items() if name not in whole for path in own.values()}
    used = {path for case in made for path in case.images} | in_faults
    return _Cases(tuple(made), channels, faults, tuple(image for image in found.images if image not in used))


def _without_masks(images: Sequence[Path], channels: Sequence[str]) -> Channels:
    """Cases without a mask, of images that end with the names of all channels."""
    ends = "|".join(re.escape(name) for name in sorted(channels, key=len, reverse=True))
    end = re.compile(rf"(?P<case>.+?)(?:{SEPARATORS.pattern})(?P<channel>{ends})", re.IGNORECASE)
    spelled = {name.casefold(): name for name in channels}
    cases: Channels = defaultdict(dict)
    for image in images:
        if match := end.fullmatch(stem(image)):
            cases[match["case"]][spelled[match["channel"].casefold()]] = image
    return {name: own for name, own in cases.items() if set(own) == set(channels)}


def _notes(root: Path, found: Beside, made: _Cases) -> Iterator[str]:
    said = f"masks beside their images: {plural(sum(case.label is not None for case in made.cases), 'case')}"
    yield said + (f", channels: {', '.join(made.channels)}" if len(made.channels) > 1 else "")
    if made.others:
        yield f"images that are no channel of a case, left out: {listed(made.others)}"
    if found.ours:
        yield f"masks or maps that this tool wrote, left out: {listed(found.ours)}"
    folders = [path.name for path in folders_in(root)]
    if folders:
        yield f"folders within were not looked into: {few(folders)}"
