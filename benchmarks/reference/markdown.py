"""Tables in Markdown, and the commands of `monai-hybrid` as click has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer.main

from monai_hybrid.cli import app


def cell(text: str) -> str:
    """Text in one cell of a table: on one line, bars escaped."""
    return " ".join(text.split()).replace("|", "\\|")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown; cells that are empty stay so."""
    lines = [heads, ["---"] * len(heads), *[[cell(text) for text in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: str) -> str:
    """Text as code; nothing for none."""
    return f"`{text}`" if text else ""


def shown_commands() -> Iterator[tuple[str, Any]]:
    """Name and click command of each command that the help shows, in its order."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        if not command.hidden:
            yield name, command
