"""What a series and its files are called where others read it: never by what identifies a person."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import combining, normalize

from data_prep.naming import naming
from data_prep.quoting import printable

if TYPE_CHECKING:
    from data_prep.dicom.series import Series

SHORTEST = 3  # characters of a word of a name that is taken out of texts; two where they are not ASCII
MOST_PARTS = 3  # of a name that texts may write in another order
UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae"}
PART = re.compile(r"[\^=,;/\\\s]+")
PART_OF_NAME = re.compile(r"[\^=,;/\\\s'\u2019_-]+")  # of double names; numbers of studies, LIVER-001, hold other words


def case_name(series: Series) -> str:
    """`sub-<patient>_ser-<series>`: pseudonyms, or the patient's ID with --keep-names; equal in all commands of one key file.

    Without an ID in the headers each study counts as a patient.
    """
    names = naming()
    patient = names.patient(series.patient_id or f"study {series.study_uid}")
    folders = [os.path.normpath(file.absolute().parent) for file in series.files]
    row = {"folder": os.path.commonpath(folders), "series": series.uid, "study": series.study_uid, "part": series.part}
    row["description"] = series.description  # free text: shown by `who` alone
    return names.series(patient, series.uid, series.part, row)


def without_identifiers(text: str, identifiers: Iterable[str]) -> str:
    """A text of a header on one line, its words that name the patient replaced by ***."""
    words = words_of(identifiers)
    if naming().keep or not words:
        return printable(text)
    plain, places = _folded(text)
    either = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))
    for match in reversed(list(either.finditer(plain))):
        text = text[: places[match.start()]] + "***" + text[places[match.end() - 1] + 1 :]
    return printable(text)


def words_of(identifiers: Iterable[str]) -> set[str]:
    """The identifiers and the words of which they consist, in small letters without accents."""
    whole = {one.strip() for one in identifiers}
    whole |= {sep.join(parts) for one in whole for parts in _dates(one) for sep in ("-", ".", "/", " ", "")}
    several = [parts for one in whole if not one.isascii() and len(parts := _parts(one)) <= MOST_PARTS]
    whole |= {"".join(order) for parts in several for order in permutations(parts)}  # written without a space
    words = {_folded(spelt)[0] for one in whole for word in (one, *_parts(one)) for spelt in (word, _umlauts(word))}
    return {word for word in words if len(word) >= (SHORTEST if word.isascii() else SHORTEST - 1)}


def _parts(identifier: str) -> list[str]:
    return (PART if any(sign.isdigit() for sign in identifier) else PART_OF_NAME).split(identifier)


def _folded(text: str) -> tuple[str, list[int]]:
    """Small letters without accents, and from which character of the text each comes."""
    signs = [(sign, at) for at, one in enumerate(text) for sign in normalize("NFKD", one.casefold()) if not combining(sign)]
    return "".join(sign for sign, _ in signs), [at for _, at in signs]


def _umlauts(word: str) -> str:
    return "".join(UMLAUTS.get(sign, sign) for sign in word.casefold())


def _dates(text: str) -> Iterator[tuple[str, str, str]]:
    """A date YYYYMMDD in other orders, also with a year of two digits."""
    match = re.fullmatch(r"((?:18|19|20)\d\d)(\d\d)(\d\d)", text)
    for year in (match[1], match[1][2:]) if match else ():
        yield from ((year, match[2], match[3]), (match[3], match[2], year), (match[2], match[3], year)) if match else ()


def shown_path(path: Path, identifiers: Iterable[str] = (), uid: str = "") -> str:
    """A path as it may be shown: nothing of what lies below the folder that the user typed, unless with --keep-names.

    A path that was not found below such a folder is shown where it names nobody, else by the UID of what lies there.
    """
    shown = naming().path(path)
    if naming().keep or shown != path or path.name in naming().given:
        return str(shown)
    text = str(path)
    return text if without_identifiers(text, identifiers) == printable(text) else f"UID {uid}"
