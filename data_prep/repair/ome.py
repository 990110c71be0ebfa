"""Names of channels that an OME-TIFF gives in the XML of its first page."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path

from data_prep.label_affixes import of_mask_beside, without_image_words
from data_prep.opened_picture import opened
from data_prep.pictures import FORMATS

DESCRIPTION = 270  # tag of TIFF
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}")
_IMAGES, _SIZE = re.compile(r"<(?:\w+:)?Image\b"), re.compile(r'\bSizeC="(\d+)"')
_CHANNEL, _NAME = re.compile(r"<(?:\w+:)?Channel\b[^>]*>"), re.compile(r'\bName="([^"]*)"')
_PLACE = re.compile(r"<(?:\w+:)?TiffData\b[^>]*>")
_FIRST, _PAGE = re.compile(r'\bFirstC="(\d+)"'), re.compile(r'\bIFD="(\d+)"')


def names_of_pages(text: str) -> tuple[str, ...]:
    """The name of the channel of each page, of the description of a TIFF; () without one, or where a name would not do.

    Such a name is of letters, digits and -, begins with a letter, and says neither "mask" nor "image". All are different.
    """
    names = [html.unescape(match[1]) if (match := _NAME.search(one)) else "" for one in _CHANNEL.findall(text)]
    size = _SIZE.search(text)
    if len(_IMAGES.findall(text)) != 1 or size is None or len(names) != int(size[1]) or not all(map(_will_do, names)):
        return ()
    if len({name.casefold() for name in names}) < len(names):
        return ()
    pages = dict(enumerate(names))
    for place in _PLACE.findall(text):
        first, page = _FIRST.search(place), _PAGE.search(place)
        if first and int(first[1]) < len(names):
            pages[int(page[1]) if page else int(first[1])] = names[int(first[1])]
    whole = sorted(pages) == list(range(len(names))) and len(set(pages.values())) == len(names)
    return tuple(pages[page] for page in range(len(names))) if whole else ()


def _will_do(name: str) -> bool:
    said = [*of_mask_beside(f"case_{name}"), *without_image_words(f"case_{name}")]
    return _PLAIN.fullmatch(name) is not None and not said


def common_names(files: Iterable[Path]) -> tuple[str, ...]:
    """The names of the pages that all these pictures give; () where one gives none or others, so that cases would differ."""
    names: tuple[str, ...] | None = None
    for file in files:
        own = _names_in(file) if FORMATS.get(file.suffix.lower()) == "TIFF" else ()
        if not own or own != (names or own):
            return ()
        names = own
    return names or ()


def _names_in(file: Path) -> tuple[str, ...]:
    try:
        with opened(file.read_bytes()) as picture:
            return names_of_pages(str(getattr(picture, "tag_v2", {}).get(DESCRIPTION, "")))
    except Exception:  # Pillow has no one error class for what is damaged; reading it says what is wrong
        return ()
