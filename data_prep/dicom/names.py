"""What a series and its files are called where others read it: never by what identifies a person."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.checks.registry import printable

if TYPE_CHECKING:
    from data_prep.dicom.series import Series

SHORTEST = 3  # characters of a word of a name that is taken out of texts
PART = re.compile(r"[\^=,;/\\\s]+")


def case_name(series: Series) -> str:
    """`<patient>_<series>`: both are short hashes, stable over runs and machines."""
    patient = hashlib.sha256(f"{series.patient_id}|{series.study_uid if not series.patient_id else ''}".encode()).hexdigest()
    return f"P{patient[:8]}_{hashlib.sha256(f'{series.uid}#{series.part}'.encode()).hexdigest()[:8]}"


def without_identifiers(text: str, identifiers: Iterable[str]) -> str:
    """A text of a header on one line, its words that name the patient replaced by ***."""
    for word in sorted(words_of(identifiers), key=len, reverse=True):
        text = re.sub(re.escape(word), "***", text, flags=re.IGNORECASE)
    return printable(text)


def words_of(identifiers: Iterable[str]) -> set[str]:
    """The identifiers and the words of which they consist."""
    whole = {one.strip() for one in identifiers}
    return {word for one in whole for word in (one, *PART.split(one)) if len(word) >= SHORTEST}


def shown_path(path: Path, identifiers: Iterable[str], uid: str) -> str:
    """A path where it names nobody, else the UID of what lies there."""
    text = str(path)
    return text if without_identifiers(text, identifiers) == printable(text) else f"UID {uid}"
