"""Channels among images that lie beside each other without a mask: p1_0000 and p1_0001, p1_t1 and p1_flair."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from data_prep.label_affixes import SEPARATORS, beginnings
from data_prep.layouts.channels import Channels, usual_channels
from data_prep.reading import stem
from data_prep.scans import CHANNEL
from data_prep.spelling import in_one_spelling

WORD = r"(?:t[12]|pd|flair|adc|dwi|swi|ct|pet|mra?)[a-z]{0,3}"  # how names call a contrast
_CONTRAST = re.compile(rf"{WORD}(?:{SEPARATORS.pattern}.*)?", re.IGNORECASE)
MOST_OF_ONE = 8  # channels: of one name alone more numbers are those of scans


def loose_channels(images: Sequence[Path]) -> Channels:
    """The images of a folder by their cases and channels; {} where their names tell none.

    By the numbers of nnU-Net, from 0000 on, else by words for contrasts; where these are the whole names, t1 and flair, the
    folder is the case. Cases without the channels of most are left out.
    """
    return _usual(_by_number(images)) or _usual(_by_contrast(images))


def _by_number(images: Sequence[Path]) -> Channels:
    cases: Channels = defaultdict(dict)
    for image in images:
        if match := CHANNEL.fullmatch(stem(image)):
            cases[match["case"]][match["index"]] = image
    whole = {case: own for case, own in cases.items() if sorted(map(int, own)) == list(range(len(own)))}
    many = len(whole) == 1 and len(next(iter(whole.values()))) > MOST_OF_ONE
    return {} if many else whole


def _by_contrast(images: Sequence[Path]) -> Channels:
    cases: Channels = defaultdict(dict)
    for image in images:
        parts = ((case, rest) for case, rest in beginnings(stem(image)) if case and _CONTRAST.fullmatch(rest))
        alone = (image.parent.name, stem(image)) if _CONTRAST.fullmatch(stem(image)) else ("", "")
        case, channel = next(parts, alone)
        if case:
            cases[case][channel] = image
    return in_one_spelling(cases, str.casefold)


def _usual(cases: Channels) -> Channels:
    if not cases:
        return {}
    names = usual_channels(cases.values()).names
    return {
        case: {name: own[name] for name in sorted(names)} for case, own in cases.items() if set(own) == names and len(own) > 1
    }
