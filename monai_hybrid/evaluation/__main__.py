"""Compare two evaluations of the same cases: `python -m monai_hybrid.evaluation runs/a/eval runs/b/eval`."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data_prep.interrupts import told
from data_prep.quoting import printable
from monai_hybrid import one_command
from monai_hybrid.evaluation.comparison import Difference, compare
from monai_hybrid.evaluation.statistics import RESAMPLES, SEED, shown_p

TITLES = {"dice": "Dice", "nsd": "NSD", "hd95": "HD95"}
CAPTION = (
    "B - A over the same cases; 95 % bootstrap interval over patients; two-sided Wilcoxon signed-rank p on patients' means, "
    "not corrected for the number of rows. Of Dice and NSD more is better, of HD95 less. "
    "Missed and invented structures count with their worst value."
)
TEXTS = ("metric", "structure")


def print_comparison(
    run_a: Annotated[Path, typer.Argument(help="output_dir of an evaluate.json run", metavar="A")],
    run_b: Annotated[Path, typer.Argument(help="the same, of the other model", metavar="B")],
    resamples: Annotated[int, typer.Option(min=1, help="of the bootstrap")] = RESAMPLES,
    seed: Annotated[int, typer.Option(min=0, help="of the bootstrap")] = SEED,
) -> None:
    """Print the mean difference B - A with its interval and p, per metric and class."""
    console = Console()
    with told():
        differences = compare(run_a, run_b, resamples, seed)
    console.print(difference_table(differences, run_a, run_b))
    for note, rows in itertools.groupby(sorted(differences, key=lambda d: d.test.note), key=lambda d: d.test.note):
        if note:
            names = ", ".join(f"{TITLES[d.metric]} of {d.name}" for d in rows)
            console.print(printable(f"{note}: {names}"), soft_wrap=True, markup=False, highlight=False)


def difference_table(differences: list[Difference], run_a: Path, run_b: Path) -> Table:
    """A row a metric and class; the sign of the difference says which is larger, the caption what it means."""
    table = Table(
        title=_plain(f"A: {run_a}   B: {run_b}"), caption=CAPTION, box=box.SIMPLE_HEAD, padding=(0, 0), pad_edge=False
    )  # fits a terminal of 80
    for column in ("metric", "structure", "cases", "patients", "mean A", "mean B", "B - A", "95 % interval", "p"):
        table.add_column(
            column,
            justify="left" if column in TEXTS else "right",
            no_wrap=column != "structure",
            overflow="fold",
            min_width=10 if column == "structure" else None,
        )
    for d in differences:
        digits = 2 if d.metric == "hd95" else 3
        interval = f"{d.interval[0]:+.{digits}f} to {d.interval[1]:+.{digits}f}" if d.interval else "-"
        numbers = f"{d.mean_a:.{digits}f}", f"{d.mean_b:.{digits}f}", f"{d.difference:+.{digits}f}", interval
        first = TITLES[d.metric] if d.name == "all" else ""
        table.add_row(
            first, _plain(d.name), str(d.n), str(d.patients), *numbers, "-" if d.test.p is None else shown_p(d.test.p)
        )
    return table


def _plain(text: str) -> str:
    """Names come from others: no markup, no control signs."""
    return escape(printable(text))


def main() -> None:
    """Run the command line."""
    one_command.run(print_comparison, "python -m monai_hybrid.evaluation")


if __name__ == "__main__":
    main()
