"""Findings of one kind together: the one order in which all commands tell them, and one line for each kind."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.amounts import few
from data_prep.checks.registry import LEVELS, Finding
from data_prep.errors import HybridError
from data_prep.free_names import proposed
from data_prep.options import also_accepted, building_words, reading_words
from data_prep.quoting import printable, quoted

SHOWN = 10  # kinds of errors in a refusal
COPIES = re.compile(r'check FOLDER (?P<option>--(?:images|labels)-dir) (?P<new>"\$PWD/NEW")')
NAMES = 5  # of further files of a kind


def ordered(findings: Iterable[Finding], cases: Sequence[str] = ()) -> list[Finding]:
    """Errors first, then by code; those of one code in the order of `cases`, since `build` goes through them by split."""
    place = {case: number for number, case in enumerate(cases)}
    return sorted(findings, key=lambda one: (LEVELS.index(one.level), one.code, place.get(one.case, -1)))


class Findings(list[Finding]):
    """Findings in the order of `ordered`; shown, as at the end of a notebook's cell, they are a line for each kind."""

    def __init__(self, findings: Iterable[Finding] = (), root: Path | None = None) -> None:
        super().__init__(findings)
        self.root = root

    def __repr__(self) -> str:
        return "\n".join(named(line_of(members, level=True), self.root) for members in by_code(self)) or "no findings"


def _short(subjects: Sequence[str]) -> list[str]:
    """The names of files without their folders, but where these tell them apart: of p1/t1.nii.gz and p2/t1.nii.gz."""
    paths = [Path(subject) for subject in dict.fromkeys(subjects)]
    alone = len({path.name for path in paths}) == len(paths)
    return [path.name if alone else "/".join(path.parts[-2:]) for path in paths]


def by_code(findings: Iterable[Finding]) -> list[list[Finding]]:
    """The findings of each code, in the order of the first ones."""
    groups: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.code].append(finding)
    return list(groups.values())


def line_of(members: Sequence[Finding], level: bool = False) -> str:
    """One line for findings of one code: the first of them, how many there are more and of which files, the remedy once."""
    first, others = members[0], members[1:]
    if not others:
        return str(first) if level else first.line
    names = few(_short([other.subject for other in others]), NAMES)
    head = f"{first.code} {first.level}" if level else first.code
    return printable(f"{head}: {first.subject}: {first.sentence}. Alike are {len(others)} more: {names}. {first.remedy}")


def named(remedy: str, root: Path | None, options: Mapping[str, Any] | None = None) -> str:
    """A remedy with the data set in the place of FOLDER, and a free folder in that of OUT: it can be typed as it stands.

    `root` may be one image, or a data list. `options` are those that the command was given: `repair` is to be told how the data
    set is read, `build` all of it again, with the "output" of a build that was refused.
    """
    if root is None or not root.exists():
        return remedy
    given = options or {}
    whole = root.parent if root.is_file() and root.suffix.lower() == ".json" else root  # nothing is written into a data set
    words = {"repair": reading_words(given), "build": building_words(given, remedy)}
    made = {"repair": proposed(whole, "_repaired"), "build": given.get("output") or proposed(whole, "_prepared")}
    for command in ("repair", "build"):
        if (line := f"{command} FOLDER --output OUT") in remedy:
            places = f"{quoted(root)}{words[command]} --output {quoted(made[command])}"
            remedy = also_accepted(remedy, given).replace(line, f"{command} {places}")
    return with_copies(remedy, root, words["repair"])


def with_copies(remedy: str, root: Path, reading: str = "") -> str:
    """A remedy whose line checks the copies that it has written, of a data set of two folders in the place of one of these.

    Of others, and of images alone, the folder of copies is checked; of one image its copy. `reading` are the options that say
    how the data set is read, as typed, with a blank before each.
    """
    found = COPIES.search(remedy)
    if found is None:
        return remedy
    new = found["new"]
    if root.is_file():
        line = f"check {new}/{quoted(root.name)}"
    elif _two(root, reading):
        line = f"check {quoted(root)}{reading} {found['option']} {new}"
    else:
        line = f"check {new}"
    return remedy[: found.start()] + line + remedy[found.end() :]


def _two(root: Path, reading: str) -> bool:
    from data_prep.layouts import FOLDERS, detect

    try:
        return any(word in reading for word in ("--images-dir", "--labels-dir")) or detect(root) == FOLDERS
    except HybridError:
        return False


def refusal_lines(errors: Sequence[Finding], root: Path | None = None, options: Mapping[str, Any] | None = None) -> list[str]:
    """A line for each kind of error, indented; of many kinds the first ones. `root` and `options`: see `named`."""
    groups = by_code(ordered(errors))
    more = [f"  and {len(groups) - SHOWN} more kinds of errors"] if len(groups) > SHOWN else []
    return [f"  {named(line_of(members, level=True), root, options)}" for members in groups[:SHOWN]] + more
