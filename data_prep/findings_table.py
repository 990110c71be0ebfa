"""Findings for a person: grouped by code, with the place, what was seen, and what to type.

On a terminal in aligned columns of its width; in a pipe one line a finding, `FILE: what was seen`, without colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from data_prep.checks import REGISTRY, Finding
from data_prep.grouped import by_code, named
from data_prep.quoting import printable
from data_prep.repair.fixes import FIXES

COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}
REPAIRED = frozenset(FIXES) | {"D005"}
EXAMPLES = 3
INDENT = 4


def print_findings(
    findings: Sequence[Finding], console: Console, root: Path | None = None, options: Mapping[str, Any] | None = None
) -> None:
    """Print each code once, with its count, its first files and its remedy.

    Args:
        findings: as `check` gives them.
        console: rich's; its width counts on a terminal only.
        root: the data set, which file names are relative to and which remedies name.
        options: those that the command was given; remedies repeat them, see `grouped.named`.
    """
    groups = {members[0].code: members for members in by_code(findings)}
    for code, members in groups.items():
        level = members[0].level
        title = Text.assemble((f"{code} {level}", COLOURS[level]), f" {REGISTRY[code].title} ({len(members)})")
        console.print(title, soft_wrap=not console.is_terminal, highlight=False)
        _examples(members, console, root)
        remedy = named(printable(members[0].remedy), root, options)
        console.print(Text(f"{' ' * INDENT}-> {remedy}"), soft_wrap=True, highlight=False)  # a command is never broken
        if console.is_terminal:
            console.print()
    _repairable(groups, console, root, options)


def _examples(members: Sequence[Finding], console: Console, root: Path | None) -> None:
    rows = [(_place(member, root), printable(member.sentence)) for member in members[:EXAMPLES]]
    more = f"and {len(members) - EXAMPLES} more; --json FILE lists all" if len(members) > EXAMPLES else ""
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


def _repairable(
    groups: Mapping[str, Sequence[Finding]], console: Console, root: Path | None, options: Mapping[str, Any] | None
) -> None:
    """One command for all that can be corrected with certainty."""
    codes = [code for code, members in groups.items() if code in REPAIRED and members[0].level != "note"]
    if root is not None and root.exists() and codes:
        command = f"monai-hybrid {named('repair FOLDER --output OUT', root, options)} --dry-run"
        console.print(Text(f"{', '.join(codes)}: what a repair would do: {command}"), soft_wrap=True, highlight=False)
