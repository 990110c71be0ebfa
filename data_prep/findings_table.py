"""Findings for a person: grouped by code, with the place, what was seen, and what to type.

On a terminal in aligned columns of its width; in a pipe one line a finding, `FILE: what was seen`, without colours.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from data_prep.checks import REGISTRY, Finding
from data_prep.checks.registry import printable
from data_prep.free_names import free
from data_prep.repair.fixes import FIXES

COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}
REPAIRED = frozenset(FIXES) | {"D005"}
EXAMPLES = 3
INDENT = 4


def print_findings(findings: Sequence[Finding], console: Console, root: Path | None = None) -> None:
    """Print each code once, with its count, its first files and its remedy.

    Args:
        findings: as `check` gives them.
        console: rich's; its width counts on a terminal only.
        root: the data set, which file names are relative to and which remedies name.
    """
    groups: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.code].append(finding)
    for code, members in groups.items():
        level = members[0].level
        title = Text.assemble((f"{code} {level}", COLOURS[level]), f" {REGISTRY[code].title} ({len(members)})")
        console.print(title, soft_wrap=not console.is_terminal, highlight=False)
        _examples(members, console, root)
        remedy = _named(printable(members[0].remedy), root)
        console.print(Text(f"{' ' * INDENT}-> {remedy}"), soft_wrap=True, highlight=False)  # a command is never broken
        if console.is_terminal:
            console.print()
    _repairable(groups, console, root)


def _examples(members: Sequence[Finding], console: Console, root: Path | None) -> None:
    rows = [(_place(member, root), printable(member.sentence)) for member in members[:EXAMPLES]]
    more = f"... and {len(members) - EXAMPLES} more; --json FILE lists all" if len(members) > EXAMPLES else ""
    if console.is_terminal:
        table = Table.grid(padding=(0, 2))
        table.add_column(overflow="fold", max_width=max(20, console.width // 2 - INDENT))
        table.add_column(overflow="fold")
        for place, sentence in rows:
            table.add_row(Text(place), Text(sentence))
        console.print(Padding(table, (0, 0, 0, INDENT)), highlight=False)
    else:
        for member, (_, sentence) in zip(members, rows, strict=False):
            console.print(Text(f"{' ' * INDENT}{printable(member.subject)}: {sentence}"), soft_wrap=True, highlight=False)
    if more:
        console.print(f"{' ' * INDENT}{more}", markup=False, highlight=False)


def _place(finding: Finding, root: Path | None) -> str:
    """The file below the data set, or the case."""
    folder = root.parent if root is not None and root.is_file() else root
    if folder is None or not finding.file:
        return printable(str(finding.subject))
    path = Path(finding.file)
    return printable(str(path.relative_to(folder) if path.is_relative_to(folder) and path != folder else path))


def _named(remedy: str, root: Path | None) -> str:
    """The remedy with the data set in the place of FOLDER, so that it can be typed as it stands."""
    if root is None or not root.is_dir():
        return remedy
    return remedy.replace("repair FOLDER --output OUT", _repair(root)).replace(
        "build ...", f"monai-hybrid build {shlex.quote(str(root))} ..."
    )


def _repair(root: Path) -> str:
    return f"repair {shlex.quote(str(root))} --output {shlex.quote(str(proposed(root, '_repaired')))}"


def beside(folder: Path, ending: str) -> Path:
    """A folder of the same name and an ending, in the same place; also of `.` and `..`, which have no names."""
    whole = folder if folder.name not in ("", "..") else folder.resolve()
    return whole.with_name(f"{whole.name}{ending}")


def proposed(source: Path, ending: str) -> Path:
    """A folder for results of `source` to propose: where the user works, unless that is in the data; a free one."""
    whole, here = source.resolve(), Path.cwd()
    if here.is_relative_to(whole if whole.is_dir() else whole.parent):
        return Path(free(beside(source, ending)))
    return Path(free(f"{whole.name}{ending}"))


def _repairable(groups: dict[str, list[Finding]], console: Console, root: Path | None) -> None:
    """One command for all that can be corrected with certainty."""
    codes = [code for code, members in groups.items() if code in REPAIRED and members[0].level != "note"]
    if root is not None and root.is_dir() and codes:
        command = f"python -m data_prep {_repair(root)} --dry-run"
        console.print(Text(f"{', '.join(codes)}: what a repair would do: {command}"), soft_wrap=True, highlight=False)
