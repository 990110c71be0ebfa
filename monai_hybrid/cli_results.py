"""`monai-hybrid compare`, `report` and `view`: commands on what runs have left."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from monai_hybrid.cli_app import IMAGES, command, model_there, run
from monai_hybrid.command_options import WORDS
from monai_hybrid.next_steps import after_report
from monai_hybrid.setting_checks import check_there

Compare = Annotated[
    list[str] | None, typer.Option("--compare", help="NAME=FOLDER: another evaluation to compare with; may be repeated")
]


@command("compare", "compare runs/first/eval runs/second/eval", "compare runs/first/eval runs/second/eval --resamples 20000")
def compare(
    context: typer.Context,
    a: Annotated[str, typer.Argument(help="folder of an evaluation")],
    b: Annotated[str, typer.Argument(help="the same, of the other model")],
    resamples: Annotated[int | None, typer.Option(help="number of draws of the bootstrap", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the bootstrap", min=0)] = None,
) -> None:
    """Compare two evaluations case by case."""
    check_there("source_dir", a, "A")
    check_there("source_dir", b, "B")
    run(["-m", "monai_hybrid.evaluation", *context.meta[WORDS]])


@command(
    "report",
    "report runs/adapted",
    "report runs/adapted --compare before=runs/before/eval --title 'Three labels'",
    "report masks --suggestions next",
)
def report(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(help="output folder of adapt, pretrain, evaluate, predict or suggest")],
    compare: Compare = None,
    output: Annotated[
        str | None, typer.Option("--output", help="file to write; none: report.html in the folder", metavar="FILE")
    ] = None,
    title: Annotated[str | None, typer.Option(help="heading; none: made from the name of the data set")] = None,
    viewer: Annotated[
        bool, typer.Option("--viewer/--no-viewer", help="volumes in three planes, 1 to 15 MB; or a small page of slices")
    ] = True,
    images: Annotated[str | None, typer.Option("--images", help=IMAGES, metavar="FOLDER")] = None,
    suggestions: Annotated[
        str | None, typer.Option("--suggestions", help="output of suggest: scans to label next", metavar="FOLDER")
    ] = None,
) -> None:
    """Write one HTML page on a run."""
    check_there("source_dir", folder, "FOLDER")
    if suggestions is not None:
        check_there("source_dir", suggestions, "--suggestions")
    run(["-m", "monai_hybrid.reporting", *context.meta[WORDS]], partial(after_report, folder))


@command("view", "view masks", "view masks --labels corrected", "view target --model runs/adapted --no-browser")
def view(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(help="output of predict, or a prepared data set", metavar="FOLDER")],
    labels: Annotated[
        str | None, typer.Option("--labels", help="folder for corrected labels; none: corrected/ in FOLDER", metavar="FOLDER")
    ] = None,
    images: Annotated[str | None, typer.Option("--images", help=IMAGES, metavar="FOLDER")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="model of the masks; none: that of the run", metavar="FILE")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="port of the page; none: any free port", min=0, max=65535)] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the page in a browser")] = True,
) -> None:
    """Look at masks in a local page, correct them, and save them as labels."""
    check_there("source_dir", folder, "FOLDER")
    if model is not None:
        model_there(model)
    run(["-m", "monai_hybrid.viewing", *context.meta[WORDS]])
