"""Names of structures that have a mask file each (`liver.nii.gz`): how they follow from files, and which value each gets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from data_prep.amounts import few
from data_prep.cases import SourceFault
from data_prep.errors import ConfigError, DataListError
from data_prep.label_affixes import SEPARATORS, says_mask, without_label_words
from data_prep.label_names import BACKGROUND, LONGEST, alike_name, parse_option
from data_prep.quoting import printable, quoted
from data_prep.reading import stem

MANY = 30  # structures from which on it is said how to take some of them
MOST = 255  # structures in one label, beside the background: D306
LARGEST = 65535  # value of a joined label, which is uint16
Own = Mapping[str, Path]  # structure -> its mask, of one case


def structure_name(mask: Path, case: str) -> str:
    """The name of the structure in the name of its mask: without the case and without a word that says "mask"."""
    name = stem(mask)
    for beginning in (case, *without_label_words(case)):
        name = re.sub(rf"^{re.escape(beginning)}{SEPARATORS.pattern}", "", name)
    return next((rest for rest in without_label_words(name) if says_mask(name) and rest), name)


def by_name(masks: Iterable[Path], case: str, folder: Path) -> dict[str, Path]:
    """Structure -> its mask, of the case in `folder`; the background is no structure.

    Raises:
        DataListError: two masks have one name, or a name cannot be told to others.
    """
    own: dict[str, Path] = {}
    seen: dict[str, Path] = {}
    for mask in masks:
        name = structure_name(mask, case)
        take_name(name, mask, seen, folder)
        if alike_name(name) != BACKGROUND:
            own[name] = mask
    return own


def take_name(name: str, of: Path, seen: dict[str, Path], folder: Path) -> None:
    """Note in `seen` that `of`, a mask or a folder of masks in `folder`, is of this structure.

    Raises:
        DataListError: another is of it already, or the name cannot be told to others.
    """
    if (other := seen.setdefault(alike_name(name), of)) is not of:
        first, second = (f"{path.name}/" if path.is_dir() else path.name for path in (other, of))
        raise DataListError(
            "D550",
            f"{printable(str(folder))}: {printable(first)} and {printable(second)} are both masks of {name!r}; expected one "
            f"for each structure. Keep one: mv -n {quoted(of)} ..",
            str(folder),
        )
    if len(name) > LONGEST or not name.isprintable():
        raise DataListError(
            "D550",
            f"{folder}: {'a folder of masks' if of.is_dir() else 'a mask'} is called {name[:40]!r}; "
            f"expected at most {LONGEST} printable characters",
            str(folder),
        )


def whole_labels(found: Mapping[str, Own], alone: Collection[str], root: Path) -> dict[str, Path]:
    """The cases that have one label of all classes: all of `alone`, unless other cases have a mask for each structure.

    Args:
        found: case -> structure -> its mask.
        alone: cases with a single mask that may be their whole label.
        root: for the message.

    Raises:
        DataListError: some have masks of structures, and one has a mask of which nobody knows whether it is one of these.
    """
    known = {alike_name(name): name for case, own in found.items() if case not in alone for name in own}
    if not known:
        return {case: path for case in alone for path in found[case].values()}
    for case in alone:
        for name, path in found[case].items():
            if alike_name(name) not in known:
                raise DataListError(
                    "D550",
                    f"{root}: other cases have a mask for each structure ({few(sorted(known.values()))}); {case} has "
                    f"{path.name}, which is none of these. Name it by its structure, or take the case away",
                    str(root),
                )
    return {}


def table_of(
    found: Mapping[str, Own], stated: str | Mapping[int, str] | None, root: Path, where: str = "--label-names"
) -> dict[str, int]:
    """Structure -> value in the label: as stated, else in the order of their names from 1; {} where there are no structures.

    Args:
        found: case -> structure -> its mask.
        stated: value -> name, of the structures that are meant.
        root: for the message.
        where: it is stated, for the message.

    Raises:
        ConfigError: a structure that is not there, more than a label can hold, or a value that none can.
        DataListError: names that no two cases share.
    """
    seen = Counter(name for own in found.values() for name in own)
    if not seen:
        return {}
    if len(found) > 1 and max(seen.values()) == 1:
        raise DataListError(
            "D550",
            f"{root}: masks have other names in each folder ({few(sorted(seen))}): no structure can be told by them. "
            "Name each mask by its structure, or join those of a case into one label",
            str(root),
        )
    if not stated and len(seen) > MOST:
        two = ",".join(f"{value}={name}" for value, name in enumerate(sorted(seen)[:2], start=1))
        raise ConfigError(
            f"{root}: masks of {len(seen)} structures; expected at most {MOST}. Take some: --label-names {quoted(two)}"
        )
    if not stated:
        return {name: value for value, name in enumerate(sorted(seen), start=1)}
    known = {alike_name(name): name for name in seen}
    asked = parse_option(stated, where)
    if alike_name(asked.pop(0, BACKGROUND)) != BACKGROUND:
        raise ConfigError(f"{where}: the value 0 is the background; give structures the values 1, 2, ...")
    for value, name in asked.items():
        if alike_name(name) not in known:
            raise ConfigError(f"{where}: no mask is called {name!r}; there are {few(sorted(seen), most=12)}")
        if value > LARGEST:
            raise ConfigError(f"{where}: the value {value} of {name!r}; a label holds at most {LARGEST}")
    return {known[alike_name(name)]: value for value, name in asked.items()}


def names_of(table: Mapping[str, int]) -> dict[int, str] | None:
    """Value -> name, with the background; None of no structures."""
    return {0: BACKGROUND, **{value: name for name, value in table.items()}} if table else None


def absent(found: Mapping[str, Own], table: Mapping[str, int], folders: Mapping[str, Path]) -> list[SourceFault]:
    """Structures of which some cases have no mask; `folders` are those of the cases."""
    faults = []
    for case, own in found.items():
        if lacking := [name for name in table if name not in own]:
            faults.append(SourceFault("D554", f"no mask of {few(lacking)}: it counts as absent", case, folders[case]))
    return faults


def many(table: Mapping[str, int], stated: object) -> Iterator[str]:
    """How to take some of many structures, where nobody has chosen."""
    if len(table) > MANY and not stated:
        chosen = ",".join(f"{value}={name}" for value, name in enumerate(list(table)[:2], start=1))
        yield f'{len(table)} structures, each a class of its own; to take some: --label-names "{chosen}"'
