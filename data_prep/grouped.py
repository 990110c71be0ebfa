"""Findings of one kind together: the one order in which all commands tell them, and one line for each kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from data_prep.amounts import few
from data_prep.checks.registry import LEVELS, Finding
from data_prep.free_names import proposed
from data_prep.quoting import printable, quoted

SHOWN = 10  # kinds of errors in a refusal
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


def named(remedy: str, root: Path | None, reading: str = "") -> str:
    """A remedy with the data set in the place of FOLDER, and a free folder in that of OUT: it can be typed as it stands.

    `reading` are the options that say how the data set is read, with a blank before each.
    """
    if root is None or not root.is_dir():
        return remedy
    for command, ending in (("repair", "_repaired"), ("build", "_prepared")):
        places = f"{quoted(root)}{reading} --output {quoted(proposed(root, ending))}"
        remedy = remedy.replace(f"{command} FOLDER --output OUT", f"{command} {places}")
    return remedy


def refusal_lines(errors: Sequence[Finding], root: Path | None = None, reading: str = "") -> list[str]:
    """A line for each kind of error, indented; of many kinds the first ones. `root` and `reading`: see `named`."""
    groups = by_code(ordered(errors))
    more = [f"  and {len(groups) - SHOWN} more kinds of errors"] if len(groups) > SHOWN else []
    return [f"  {named(line_of(members, level=True), root, reading)}" for members in groups[:SHOWN]] + more
