"""Write a report: `python -m monai_hybrid.reporting runs/adapted --compare before=runs/before`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data_prep.interrupts import told
from monai_hybrid import one_command
from monai_hybrid.reporting.report import write_report


def report(
    folder: Annotated[
        Path, typer.Argument(help="output_dir of a training, an evaluation, a prediction or suggest", metavar="FOLDER")
    ],
    compare: Annotated[
        list[str] | None, typer.Option(help="NAME=FOLDER: another evaluation of the same cases; repeat it")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="file to write; none: report.html in FOLDER")] = None,
    title: Annotated[str, typer.Option(help="heading; none: made from the name of the data set")] = "",
    viewer: Annotated[
        bool, typer.Option("--viewer/--no-viewer", help="show volumes in three planes; a page of 1 to 15 MB")
    ] = True,
    images: Annotated[Path | None, typer.Option(help="where the images of a prediction lie", metavar="FOLDER")] = None,
    suggestions: Annotated[Path | None, typer.Option(help="output of suggest: scans to label next", metavar="FOLDER")] = None,
) -> None:
    """Write one self-contained HTML page: scores with intervals, pictures, curves, transfer, shift, commands."""
    with told():
        path = write_report(folder, compare or [], output, title, viewer, images, suggestions)
    typer.echo(f"report: {path} ({path.stat().st_size / 1e6:.2f} MB)")


def main() -> None:
    """Run the command line."""
    one_command.run(report, "python -m monai_hybrid.reporting")
