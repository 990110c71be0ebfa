"""Names of label values: from the command line, from a JSON file, or made up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data_prep.cases import Source
from data_prep.errors import ConfigError, DataListError
from data_prep.ignoring import IGNORE

LONGEST = 200  # characters of a name
MOST_VALUES = 2**17  # that one change of values may have
BACKGROUND = "background"
ALL = "all"  # in results: the mean over the structures
OTHERS = f"others={BACKGROUND}"  # of all values that have no name
_MADE_UP = re.compile(r"label[\s_-]*\d+", re.IGNORECASE)


def parse_names(content: Any, where: str) -> dict[int, str]:
    """Value -> name from {"0": "background", "1": "LV"}, {"background": 0, "LV": 1} or ["background", "LV"].

    Pairs [(value, name), ...] are a form, too, in which a value given twice is seen.

    Args:
        content: what the JSON file holds.
        where: file and key, for the message.

    Raises:
        DataError: another form, a value that is not a whole number from 0, or a name given twice.
    """
    names: dict[int, str] = {}
    taken = {alike_name(BACKGROUND): 0}  # its value is always 0, named or not
    for value, name in _pairs(content, where):
        if value in names:
            raise DataListError("D502", f"{where}: value {value} is given twice; expected each once")
        if taken.setdefault(alike_name(name), value) != value:
            raise DataListError("D502", f"{where}: {_twice(name, value, taken[alike_name(name)])}")
        names[value] = name
    if not set(names) - {0}:
        raise DataListError("D502", f"{where}: no class besides the background; expected for example {{'1': 'hippocampus'}}")
    return names


def alike_name(name: str) -> str:
    """The name as models match it: case, spaces, hyphens and underscores do not count."""
    return re.sub(r"[\s_-]+", "_", name.strip()).casefold()


def _twice(name: str, value: int, other: int) -> str:
    if alike_name(name) == BACKGROUND:
        return f"value {value} is named {name!r}, but the background is always the value 0; give {value} another name"
    return (
        f"values {other} and {value} have the same name, {name!r}; expected each name once "
        "(case, spaces, hyphens and underscores do not count)"
    )


def _pairs(content: Any, where: str) -> Iterable[tuple[int, str]]:
    items = list(content.items()) if isinstance(content, Mapping) else []
    if isinstance(content, (list, tuple)):
        items = list(content if content and isinstance(content[0], tuple) else enumerate(content))
    if not items:
        raise DataListError("D502", f'{where}: expected {{"0": "background", "1": "name"}} or a list of names, saw {content!r}')
    for key, entry in items:
        value, name = (entry, key) if isinstance(entry, int) and not isinstance(entry, bool) else (key, entry)
        if not str(value).isdigit() or not isinstance(name, str) or not name.strip():
            raise DataListError(
                "D502", f"{where}: expected a whole number and a name, saw {repr(key)[:40]}: {repr(entry)[:40]}"
            )
        if len(name) > LONGEST or not name.strip().isprintable():  # names are shown, and stand in tables, cards and headers
            seen = f"value {value}, name {name[:40]!r}" + ("..." if len(name) > 40 else "")
            raise DataListError("D502", f"{where}: {seen}; expected at most {LONGEST} printable characters")
        yield int(value), name.strip()


def chosen_names(stated: str | Mapping[int, str] | None, raw: Source) -> Mapping[int, str] | None:
    """What the user states, else what the source does; names of segments cannot be stated anew, as their values are ours.

    A table that calls the ignore value "ignore", as DICOM-SEG and BIDS may, names no class with it.

    Raises:
        ConfigError: other names than those of the segments are stated, or the text has another form.
        DataListError: a structure is called "all".
    """
    declared = parse_option(stated) if stated else None
    if declared and raw.segments_named and {0: BACKGROUND, **declared} != raw.label_names:
        own = ",".join(f"{value}={name}" for value, name in (raw.label_names or {}).items() if value)
        raise ConfigError(f'--label-names: the segments of the DICOM files have names: "{own}". Leave --label-names out')
    names = declared or raw.label_names
    _refuse_all(names or {})
    if names and raw.ignore is not None and alike_name(names.get(raw.ignore, "")) == IGNORE:
        return {value: name for value, name in names.items() if value != raw.ignore}
    return names


def _refuse_all(names: Mapping[int, str]) -> None:
    """Refuse a structure that is called as the mean over the structures is in every result."""
    taken = next((value for value, name in names.items() if alike_name(name) == ALL), None)
    if taken is None:
        return
    others = ",".join(f"{value}={'OTHER' if value == taken else name}" for value, name in names.items() if value)
    said = f"value {taken} is named {names[taken]!r}, as the mean over all structures is in results"
    raise DataListError("D502", f'{said}. Type: --label-names "{others}"')


def parse_option(text: str | Mapping[int, str], option: str = "--label-names") -> dict[int, str]:
    """Value -> name from the command line's "1=LV,2=RV", given as `option`.

    Raises:
        ConfigError: another form.
    """
    if isinstance(text, str):
        parts = [part.partition("=") for part in text.split(",") if part.strip()]
        pairs = [(value.strip(), name.strip()) for value, _, name in parts]
    else:
        pairs = [(str(value), str(name)) for value, name in text.items()]
    try:
        return parse_names(pairs, option)
    except DataListError as error:
        raise ConfigError(f'{error}. Type: {option} "1=LV,2=RV"') from error


def without_others(text: str) -> tuple[str, bool]:
    """ "1=LV,others=background" as "1=LV", and whether it says that all other values are background."""
    parts = [part for part in text.split(",") if part.strip()]
    kept = [part for part in parts if "".join(part.split()).casefold() != OTHERS]
    return ",".join(kept), len(kept) < len(parts)


def label_table(declared: Mapping[int, str] | None, seen: Iterable[int]) -> list[dict[str, int | str]]:
    """The classes of training: [{"index": 0, "value": 0, "name": "background"}, ...], ordered by value.

    `index` runs from 0 without gaps and is what the network learns; `value` is the user's own in the file. Without a
    declaration each value seen becomes a class, so masks of 0 and 255 or with gaps work.
    """
    values = sorted({0, *(declared if declared is not None else seen)})
    names = {0: BACKGROUND, **{value: f"label_{value}" for value in values if value}, **(declared or {})}
    return [{"index": index, "value": value, "name": names[value]} for index, value in enumerate(values)]


def is_made_up(name: str) -> bool:
    """Whether a name is one of `label_table`'s own, such as label_255: it says the value in the file and nothing else."""
    return _MADE_UP.fullmatch(name.strip()) is not None


def same_only_class(*tables: Sequence[str]) -> bool:
    """Whether each table of names, background first, has a single class that can be meant by all of them.

    A made-up name says nothing against another; two names that people gave are two structures.
    """
    given = {table[1].strip().casefold() for table in tables if len(table) == 2 and not is_made_up(table[1])}
    return all(len(table) == 2 for table in tables) and len(given) <= 1


def parse_map(text: str | None) -> dict[int, int]:
    """Value -> value from the command line's "255=1,-1=0"; "2..40=1" is each from 2 to 40. Empty for None.

    Raises:
        ConfigError: another form, a value given twice, or too many values.
    """
    pairs = [part.partition("=") for part in (text or "").split(",") if part.strip()]
    values: dict[int, int] = {}
    for old, _, new in pairs:
        first, _, last = old.partition("..")
        try:
            range_, value = range(int(first), int(last or first) + 1), int(new)
        except ValueError as error:
            raise ConfigError(f'--map {text!r}: expected pairs of whole numbers. Type: --map "255=1"') from error
        if not 0 < len(range_) <= MOST_VALUES:
            raise ConfigError(
                f'--map {text!r}: {old} is {len(range_)} values; expected 1 to {MOST_VALUES}. Type: --map "2..40=1"'
            )
        if not values.keys().isdisjoint(range_):
            raise ConfigError(f'--map {text!r}: a value is given twice; expected each once. Type: --map "255=1"')
        values |= dict.fromkeys(range_, value)
    return values
