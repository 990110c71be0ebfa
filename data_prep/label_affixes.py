"""Words that say "mask" at the beginning or end of a name: `p1_seg`, `p1.seg`, `mask_p1`; pairing by what is left."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SEPARATORS = re.compile(r"[\s_.\-]+")
_MASK = r"(?:seg|segs|segm|segmentations?|labels?|lbl|masks?|msk|gt|ground[_\-]?truth|annotations?|anno)"
_ALSO = (  # of masks beside images only
    r"(?:truth|manual\d*|\d(?:st|nd)ho|roi|rois|contours?|delineations?|expert\d*|preds?|predictions?)"
)
_CUT = r"[\s_.\-]+"
_LABEL_END = re.compile(rf"(?P<rest>.+?)(?P<end>{_CUT}(?:{_MASK}|{_ALSO}|\d{{4}}))", re.IGNORECASE)
_BEFORE = rf"(?:{_CUT}|(?=\d))"  # label0001 beside img0001
_LABEL_START = re.compile(rf"(?P<start>(?:{_MASK}|{_ALSO}){_BEFORE})(?P<rest>.+)", re.IGNORECASE)
_MASK_END = re.compile(rf"(?P<rest>.+?)(?P<end>{_CUT}{_MASK}(?:[\s_.\-]?\d{{1,2}})?)", re.IGNORECASE)  # x_mask_1 too
_MASK_START = re.compile(rf"(?P<start>{_MASK}{_CUT})(?P<rest>.+)", re.IGNORECASE)
CAPITALS = "images and labels are paired by their names without regard to capitals"
_WHOLE = re.compile(_MASK, re.IGNORECASE)
_IMAGE = r"(?:img|image|images|im|scan|vol|volume|orig|original|raw|data)"
_IMAGE_END = re.compile(rf"(?P<rest>.+?)(?P<end>{_CUT}(?:{_IMAGE}|train|training|test|0000))", re.IGNORECASE)
_IMAGE_START = re.compile(rf"(?P<start>{_IMAGE}{_BEFORE})(?P<rest>.+)", re.IGNORECASE)


def without_label_words(name: str) -> Iterator[str]:
    """The names that an image of this mask may have: without an ending, then without a beginning, that says "mask"."""
    for pattern in (_LABEL_END, _LABEL_START):
        match = pattern.fullmatch(name)
        if match:
            yield match["rest"]


def of_mask_beside(name: str) -> Iterator[str]:
    """As `without_label_words`, where a number alone makes no mask: p1-2019 beside p1 is another scan."""
    yield from (rest for rest in without_label_words(name) if not name.removeprefix(rest).strip(" _.-").isdigit())


def without_image_words(name: str) -> Iterator[str]:
    """The names that the mask of this image may have but for its own word: `01` of `01_test`, `7` of `img_7`."""
    for pattern in (_IMAGE_END, _IMAGE_START):
        match = pattern.fullmatch(name)
        if match:
            yield match["rest"]


def beginnings(name: str) -> Iterator[tuple[str, str]]:
    """Where a name may be parted: the beginning, from short to long, and what comes after it. p1 and t1 of p1_t1."""
    return ((name[: match.start()], name[match.end() :]) for match in SEPARATORS.finditer(name))


def case_of(name: str, known: Collection[str]) -> tuple[str, str]:
    """The known name that a name begins with, the longest of several, and what comes after it; "" where there is none.

    Of p1 and p1_a it is p1_a that p1_a_t1 belongs to.
    """
    return max((parts for parts in beginnings(name) if parts[0] in known), key=lambda parts: len(parts[0]), default=("", name))


def says_mask(name: str) -> bool:
    """Whether the name alone says that it is a mask: `p1_seg`, `mask_p1`, `segmentation`."""
    return bool(_WHOLE.fullmatch(name) or _MASK_END.fullmatch(name) or _MASK_START.fullmatch(name))


@dataclass(frozen=True)
class Pairs:
    """Labels by case id, labels without an image, and what all names of labels carry that those of images lack."""

    labels: Mapping[str, Path]
    orphans: tuple[Path, ...]
    note: str = field(default="")


def pair_labels(case_ids: Collection[str], labels: Mapping[str, Path], some: bool = False) -> Pairs:
    """Find the label of each case: of the same name, else of the same name but for an affix that all labels carry.

    Args:
        case_ids: of the images.
        labels: name without extension -> file.
        some: labels are of a structure that some images may not show, so that fewer of them may all carry an unknown ending.
    """
    known = set(case_ids)
    exact = {name: path for name, path in labels.items() if name in known}
    spelled = _but_for_capitals([name for name in labels if name not in exact], known - exact.keys())
    whole = exact | {case: labels[name] for name, case in spelled.items()}
    used = set(whole.values())
    best = Pairs(whole, tuple(path for path in labels.values() if path not in used), CAPITALS if spelled else "")
    if whole:
        return best
    for own, other in _cuts(list(labels), list(case_ids), some):
        cores = {_core(name, own): path for name, path in labels.items()}
        images = {_core(case_id, other): case_id for case_id in case_ids}
        if len(cores) < len(labels) or len(images) < len(case_ids):
            continue
        spelled = {core: core for core in cores if core in images} or _but_for_capitals(cores, images)
        found = {images[other_core]: cores[core] for core, other_core in spelled.items()}
        # All labels, or most of several: the others are told as labels without an image.
        if len(found) > len(best.labels) and (len(found) == len(labels) or 1 < len(found) > len(labels) / 2):
            words = " and ".join(f"{text!r}" for text in (*own, *other) if text)
            orphans = tuple(path for core, path in cores.items() if core not in spelled)
            note = f"images and labels are paired by their names without {words}" if words else CAPITALS
            best = Pairs(found, orphans, note)
            if not orphans:
                break
    return best


def _but_for_capitals(labels: Collection[str], images: Collection[str]) -> dict[str, str]:
    """Name of a label -> that of an image, where they differ in capitals alone; none where two names would be one."""
    folded = {name.casefold(): name for name in images}
    if len(folded) < len(images) or len({name.casefold() for name in labels}) < len(labels):
        return {}
    return {name: folded[name.casefold()] for name in labels if name.casefold() in folded}


Affix = tuple[str, str]  # a beginning and an ending; "" for none


def _core(name: str, affix: Affix) -> str:
    return name.removeprefix(affix[0]).removesuffix(affix[1])


def _cuts(labels: Sequence[str], images: Sequence[str], some: bool) -> Iterator[tuple[Affix, Affix]]:
    """What may be taken off all labels, and off all images: known words, then any ending where nothing else is cut."""
    if not labels or not images:
        return
    of_labels = [("", ""), *_common(labels, _LABEL_START, _LABEL_END)]
    of_images = [("", ""), *_common(images, _IMAGE_START, _IMAGE_END)]
    yield from ((own, other) for other in of_images for own in of_labels)
    if len(labels) > 1 and (len(labels) == len(images) or (some and len(labels) < len(images))):
        known = set(images)
        begins = (next((name[:end] for end in range(len(name), 0, -1) if name[:end] in known), name) for name in labels)
        ends = {name[len(begin) :] for name, begin in zip(labels, begins, strict=True)}
        if len(ends) == 1 and len(end := ends.pop()) > 1 and not end[0].isalnum():
            yield ("", end), ("", "")


def _common(names: Sequence[str], start: re.Pattern[str], end: re.Pattern[str]) -> list[Affix]:
    """Beginnings and endings with a known word that all names carry."""
    starts = {match["start"] if (match := start.fullmatch(name)) else "" for name in names}
    ends = {match["end"] if (match := end.fullmatch(name)) else "" for name in names}
    first, last = starts.pop() if len(starts) == 1 else "", ends.pop() if len(ends) == 1 else ""
    return [affix for affix in (("", last), (first, ""), (first, last)) if any(affix)]


def common_ending(labels: Sequence[str]) -> str:
    """The longest ending, from a separator on, that all names carry; "" where there is none or only one name."""
    ends = [{name[match.start() :] for match in re.finditer(r"[\s_.\-]", name)} for name in (labels if len(labels) > 1 else [])]
    return max(set.intersection(*ends), key=len, default="") if ends else ""
