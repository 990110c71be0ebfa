"""`--series`: which of the series found are meant, in the user's words."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from data_prep.amounts import few
from data_prep.dicom.series import Series
from data_prep.errors import ConfigError
from data_prep.naming import naming

CHOSEN = ("D511", "D519")  # problems that choosing a part solves
SHOWN = 8


def choose(series: Sequence[Series], words: str | None) -> list[Series]:
    """The series that the words name; all when there are none.

    Args:
        series: as found.
        words: parted by commas. A SeriesInstanceUID, a series number, or a description, in which * stands for anything:
            a series is taken when one fits. NAME=VALUE takes this part of a series that has several slices at one place.

    Raises:
        ConfigError: nothing fits.
    """
    if not words:
        return list(series)
    asked = [word.strip() for word in words.split(",") if word.strip()]
    names = [word for word in asked if "=" not in word]
    values = {key.strip().casefold(): value.strip() for key, _, value in (word.partition("=") for word in asked if "=" in word)}
    kept = [one for one in series if not names or any(_fits(one, name) for name in names)]
    found = [part for one in kept if (part := _part(one, values)) is not None]
    if not found or (values and not names and not any(one.part for one in found)):
        there = few([one.title for one in series], SHOWN, "; ")
        more = "" if naming().keep else ". Their descriptions are shown with --keep-names"
        raise ConfigError(
            f"--series {shlex.quote(words)}: no series has this name. The series here: {there or 'no series'}{more}"
        )
    return found


def without(series: Series, codes: Collection[str]) -> Series:
    """The series with these problems taken as solved."""
    return replace(series, problems=tuple(problem for problem in series.problems if problem.code not in codes))


def _fits(series: Series, name: str) -> bool:
    texts = (series.uid, series.number, series.description)
    return any(fnmatchcase(text.casefold(), name.casefold()) for text in texts if text)


def _part(series: Series, values: dict[str, str]) -> Series | None:
    """The series, with the choice of its part settled when the values name it; None when they name another part."""
    if not series.part or not values:
        return series
    real, shown = _values(series.part), _values(series.shown_part)
    if any(key in values and not (_equal(shown[key], values[key]) or _equal(real.get(key, ""), values[key])) for key in shown):
        return None
    return without(series, CHOSEN) if set(shown) <= set(values) else series


def _values(part: str) -> dict[str, str]:
    return {key.casefold(): value for key, _, value in (word.partition("=") for word in part.split(",") if "=" in word)}


def _equal(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return one.casefold() == other.casefold()
