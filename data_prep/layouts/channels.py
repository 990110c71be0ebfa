"""Channels by the endings of names, p1_t1 and p1_flair of p1. A data set has those that most of its cases have."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from data_prep.amounts import few
from data_prep.cases import Case, SourceFault
from data_prep.errors import DataListError
from data_prep.label_affixes import SEPARATORS, case_of, without_label_words
from data_prep.reading import stem
from data_prep.spelling import in_one_spelling

Images = Mapping[str, Path]  # channel -> image, of one case
Channels = dict[str, dict[str, Path]]  # case -> channel -> image


class Channeled(NamedTuple):
    """What was made of the images: cases, those that lack a channel, and images that are left over."""

    cases: tuple[Case, ...]
    channels: tuple[str, ...] = ("image",)
    faults: tuple[SourceFault, ...] = ()
    others: tuple[Path, ...] = ()


class Usual(NamedTuple):
    """The names of the channels, and the number of cases that have these and no other."""

    names: frozenset[str]
    cases: int


def usual_channels(cases: Collection[Images]) -> Usual:
    """The channels that most cases have; the fewest where two sets are as frequent. There is at least one case."""
    sets = Counter(frozenset(own) for own in cases)
    names = max(sets, key=lambda names: (sets[names], -len(names)))
    return Usual(names, sets[names])


def one_each(images: Mapping[Path, str], root: Path) -> dict[str, Path]:
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


def by_ending(images: Sequence[Path], masks: Mapping[Path, Sequence[str]]) -> Channels:
    """Images that go on where the name of a case ends: of p1 p1_t1 and p1_flair. {} where there are none.

    `masks`: the names that the case of each may have.
    """
    bases = {name for names in masks.values() for name in names}
    cases: Channels = defaultdict(dict)
    for image in images:
        case, channel = case_of(stem(image), bases)
        if case:
            cases[case][channel] = image
    return dict(cases)


def names_in_labels(masks: Iterable[Path]) -> dict[Path, tuple[str, ...]]:
    """Mask in a folder of labels -> the names that its case may have: its own, or without a word that says "mask"."""
    return {mask: (stem(mask), *without_label_words(stem(mask))) for mask in masks}


def several(channels: Channels) -> bool:
    """Whether cases have more than one channel each."""
    return bool(channels) and len(usual_channels(channels.values()).names) > 1


def of_channels(root: Path, images: Sequence[Path], masks: Mapping[Path, Sequence[str]], by_case: Channels) -> Channeled:
    """The cases of `by_ending`, with their masks; one that lacks a channel is told.

    Raises:
        DataListError: each case has other channels, so that they are none; or two masks.
    """
    cases = in_one_spelling(by_case, str.casefold)
    most, times = usual_channels(cases.values())
    if len(cases) > 1 and times == 1:
        some = next(iter(cases.values()))
        raise DataListError(
            "D550",
            f"{root}: channels cannot be told: {few([path.name for path in some.values()])}, and other endings "
            "for each other mask. Give channels the same ending for each case, such as _t1 and _flair",
        )
    of_cases = {mask: name for mask, names in masks.items() for name in names if name in cases}
    mask_of, channels = one_each(of_cases, root), tuple(sorted(most))
    whole = {name: own for name, own in cases.items() if most <= set(own)}
    faults = tuple(
        SourceFault("D551", f"no {', no '.join(sorted(most - set(own)))}; there are {few(sorted(own))}", name, mask_of[name])
        for name, own in cases.items()
        if name not in whole
    )
    known = {path for own in cases.values() for path in own.values()}
    unlabelled = _without_masks([image for image in images if image not in known], channels)
    made = [Case(name, tuple(own[c] for c in channels), mask_of.get(name)) for name, own in (whole | unlabelled).items()]
    in_faults = {path for name, own in cases.items() if name not in whole for path in own.values()}
    used = {path for case in made for path in case.images} | in_faults
    return Channeled(tuple(made), channels, faults, tuple(image for image in images if image not in used))


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
