"""Which scans to label next: `python -m monai_hybrid.suggesting --data SCANS --model MODEL`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data_prep.amounts import plural
from data_prep.interrupts import told
from data_prep.progress import show as show_progress
from monai_hybrid import one_command
from monai_hybrid.next_steps import after_suggest, as_next
from monai_hybrid.prediction.reasons import by_reason
from monai_hybrid.suggesting.orders import DEFAULT
from monai_hybrid.suggesting.suggestion import Suggestion, suggest_into

SHOWN = 10  # rows beyond the chosen ones


def suggesting(
    data: Annotated[Path, typer.Option("--data", help="folder of images, or a prepared data set", metavar="FOLDER")],
    model: Annotated[str, typer.Option("--model", help="a file, the folder of a run, or a name", metavar="FILE")],
    number: Annotated[int, typer.Option("--number", help="how many scans to choose", min=1)] = 3,
    order: Annotated[str, typer.Option("--order", help="random, typical, spread, error or entropy")] = DEFAULT,
    seed: Annotated[int, typer.Option("--seed", help="of the order random", min=0)] = 0,
    out: Annotated[Path | None, typer.Option("--out", "--output", help="folder for suggestion.csv", metavar="FOLDER")] = None,
    accept: Annotated[str | None, typer.Option("--accept", help="judgements you overrule: D103,D107", metavar="CODES")] = None,
) -> None:
    """Choose scans to label, from what a model sees in them."""
    logging.getLogger("monai").setLevel(logging.ERROR)
    show_progress()
    with told():
        show(suggest_into(data, model, number, order, seed, out, accept), data, model, number)


def show(found: Suggestion, data: Path, model: str, number: int) -> None:
    """Print the table, what is to be said of it, and the next line to type."""
    console = Console()
    rows = list(found.rows())
    table = Table(title=escape(f"{data.name}: {plural(len(rows), 'scan')} without a label, order {found.order}"))
    columns = {"label_next": "label", "case_id": "scan", "entropy_foreground": "entropy", "denoising_error": "denoising error"}
    columns |= {"predicted_dice": "predicted Dice"} if any(one.dice is not None for one in found.seen) else {}
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    shown = rows[: len(found.chosen) + SHOWN]
    for row in shown:
        table.add_row(*(escape(str(row[key])) for key in columns))
    console.print(table)
    if len(rows) == 1:
        print(f"{data}: one scan, so there is nothing to choose")
    elif len(rows) < number:
        print(f"{len(rows)} scans are fewer than {number}: all of them are listed")
    if len(rows) > len(shown):
        print(f"{len(rows) - len(shown)} more scans; suggestion.csv of --output FOLDER lists all")
    if found.failed:
        told = f"left out, for they could not be read: {plural(len(found.failed), 'scan')}"
        print("\n  ".join([told, *by_reason(found.failed)]))
    print(as_next(after_suggest(str(data), model)))


def main() -> None:
    """Run `python -m monai_hybrid.suggesting`."""
    one_command.run(suggesting, "python -m monai_hybrid.suggesting")


if __name__ == "__main__":
    main()
