"""What a series and its files are called where others read it: never by what identifies a person."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.checks.registry import printable
from data_prep.naming import naming

if TYPE_CHECKING:
    from data_prep.dicom.series import Series

SHORTEST = 3  # characters of a word of a name that is taken out of texts
PART = re.compile(r"[\^=,;/\\\s]+")


def case_name(series: Series) -> str:
    """`sub-<patient>_ser-<series>`: pseudonyms, or the patient's ID with --keep-names; equal in all commands of one key file.

    Without an ID in the headers each study counts as a patient.
    """
    names = naming()
    patient = names.patient(series.patient_id or f"study {series.study_uid}")
    folders = [os.path.normpath(file.absolute().parent) for file in series.files]
    row = {"folder": os.path.commonpath(folders), "series": series.uid, "study": series.study_uid, "part": series.part}
    return names.series(patient, series.uid, series.part, row)


def without_identifiers(text: str, identifiers: Iterable[str]) -> str:
    """A text of a header on one line, its words that name the patient replaced by ***."""
    if naming().keep:
        return printable(text)
    for word in sorted(words_of(identifiers), key=len, reverse=True):
        text = re.sub(re.escape(word), "***", text, flags=re.IGNORECASE)
    return printable(text)


def words_of(identifiers: Iterable[str]) -> set[str]:
    """The identifiers and the words of which they consist."""
    whole = {one.strip() for one in identifiers}
    whole |= {sep.join(parts) for one in whole for parts in _dates(one) for sep in "-./ "}
    return {word for one in whole for word in (one, *PART.split(one)) if len(word) >= SHORTEST}


def _dates(text: str) -> list[tuple[str, str, str]]:
    """A date YYYYMMDD in the two other orders that texts have."""
    match = re.fullmatch(r"((?:18|19|20)\d\d)(\d\d)(\d\d)", text)
    return [(match[1], match[2], match[3]), (match[3], match[2], match[1])] if match else []


def shown_path(path: Path, identifiers: Iterable[str] = (), uid: str = "") -> str:
    """A path as it may be shown: nothing of what lies below the folder that the user typed, unless with --keep-names.

    A path that was not found below such a folder is shown where it names nobody, else by the UID of what lies there.
    """
    shown = naming().path(path)
    if naming().keep or shown != path or path.name in naming().given:
        return str(shown)
    text = str(path)
    return text if without_identifiers(text, identifiers) == printable(text) else f"UID {uid}"
