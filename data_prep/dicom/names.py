"""What a series and its files are called where others read it: never by what identifies a person."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.checks.registry import Finding, printable

if TYPE_CHECKING:
    from data_prep.dicom.series import Series

SHORTEST, CERTAIN = 3, 5  # characters of a word: shorter ones are left, and from the second on it is found within words too
PART = re.compile(r"[\^=,;/\\\s]+")


def case_name(series: Series) -> str:
    """`<patient>_<series>`: both are short hashes, stable over runs and machines."""
    patient = hashlib.sha256(f"{series.patient_id}|{series.study_uid if not series.patient_id else ''}".encode()).hexdigest()
    return f"P{patient[:8]}_{hashlib.sha256(f'{series.uid}#{series.part}'.encode()).hexdigest()[:8]}"


def without_identifiers(text: str, identifiers: Iterable[str]) -> str:
    """A text on one line, its words that name the patient replaced by ***."""
    pattern = _pattern(frozenset(identifiers))
    return printable(pattern.sub("***", text) if pattern is not None else text)


@lru_cache(maxsize=4096)
def _pattern(identifiers: frozenset[str]) -> re.Pattern[str] | None:
    words = sorted(words_of(identifiers), key=len, reverse=True)
    apart = (re.escape(word) if len(word) >= CERTAIN else rf"(?<![^\W_]){re.escape(word)}(?![^\W_])" for word in words)
    return re.compile("|".join(apart), re.IGNORECASE) if words else None


def words_of(identifiers: Iterable[str]) -> set[str]:
    """The identifiers and the words of which they consist."""
    whole = {one.strip() for one in identifiers}
    return {word for one in whole for word in (one, *PART.split(one)) if len(word) >= SHORTEST}


def shown_path(path: Path, identifiers: Iterable[str], instead: str) -> str:
    """A path where it names nobody, else the other text."""
    text = str(path)
    return text if without_identifiers(text, identifiers) == printable(text) else instead


def without_names(findings: Iterable[Finding], series: Iterable[Series]) -> list[Finding]:
    """Findings whose file, message and remedy name no patient of these series: people call folders and masks by them."""
    words = frozenset(word for one in series for word in one.identifiers)
    return [
        replace(
            one,
            file=shown_path(Path(one.file), words, one.case or "***") if one.file else "",
            message=without_identifiers(one.message, words),
            remedy=without_identifiers(one.remedy, words),
        )
        for one in findings
    ]
