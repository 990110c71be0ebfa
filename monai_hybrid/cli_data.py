"""`monai-hybrid check`, `build`, `repair`, `slices`, `who`, `shift`, `suggest` and `phantom`: commands on data sets."""

from __future__ import annotations

from typing import Annotated

import typer

from data_prep import cli as data_prep
from data_prep.errors import ConfigError
from monai_hybrid.cli_app import MODEL, Model, command, model_there, one_of, run
from monai_hybrid.command_options import WORDS, forwards
from monai_hybrid.setting_checks import check_there


@command("check", "check /data/my_hospital", "check target --json findings.json")
@forwards(data_prep.check)
def check(words: list[str]) -> None:
    """Look for defects in a data set; exit code 3 when there are any."""
    run(["-m", "data_prep", "check", *words])


@command("prepare", hidden=True)
@command("build", "build /data/my_hospital --output target", "build /data/ct --output ct --modality CT --splits splits.json")
@forwards(data_prep.build)
def build(words: list[str]) -> None:
    """Split by patient, describe and plan a data set; copies no image."""
    run(["-m", "data_prep", "build", *words])


@command("repair", "repair /data/my_hospital --output repaired", "repair /data/my_hospital --output repaired --dry-run")
@forwards(data_prep.repair)
def repair(words: list[str]) -> None:
    """Correct what is certain into a new folder, with a log."""
    run(["-m", "data_prep", "repair", *words])


@command("slices", "slices /data/my_hospital --output slices", "slices /data/my_hospital --join masks --output joined")
@forwards(data_prep.slices)
def slices(words: list[str]) -> None:
    """Cut volumes into slices, for a 2D model such as cardiac_lv_mr; join the masks of slices."""
    run(["-m", "data_prep", "slices", *words])


@command("who", "who sub-kfmtajjvph_ser-jalbpo")
@forwards(data_prep.who)
def who(words: list[str]) -> None:
    """Say who or what is behind a pseudonym. For your eyes: the answer names patients."""
    run(["-m", "data_prep", "who", *words])


@command("shift", "shift source target --output shift", "shift target --model hippocampus_mr", "shift target")
def shift(
    context: typer.Context,
    first: Annotated[str, typer.Argument(help="prepared source data set; leave it out to compare models", metavar="[SOURCE]")],
    target: Annotated[
        str | None,
        typer.Argument(help="prepared data set; without SOURCE any scans will do", metavar="TARGET", show_default=False),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help=f"model instead of SOURCE: {MODEL}; auto: all", metavar="FILE|auto")
    ] = None,
    out: Annotated[str | None, typer.Option("--output", help="folder for what was found", metavar="FOLDER")] = None,
    debug: data_prep.Debug = False,
) -> None:
    """Say how two prepared data sets differ; or with TARGET alone, which model lies nearest to it. No label is read then."""
    if target is not None and model is not None:
        raise ConfigError(f"shift: got a source, {first}, and --model {model}; leave one of them out")
    if target is not None:
        run(["-m", "data_prep", "shift", *context.meta[WORDS]])
    check_there("input", first, "TARGET")
    if model is not None and model != "auto":
        model_there(model)
    run(["-m", "monai_hybrid.nearest", *(word for word in context.meta[WORDS] if word != "--debug")])


@command(
    "suggest",
    "suggest --data unlabelled --model hippocampus_mr --number 3",
    "suggest --data target --model runs/adapted --order spread --output next",
)
def suggest(
    context: typer.Context,
    data: Annotated[
        str, typer.Option("--data", help="folder of images, or a prepared data set with unlabelled cases", metavar="FOLDER")
    ],
    model: Model,
    number: Annotated[int, typer.Option("--number", help="how many scans to choose", min=1, metavar="N")] = 3,
    order: Annotated[
        str, one_of("--order", "what decides", "random", "typical", "spread", "error", "entropy", "dice")
    ] = "random",
    seed: Annotated[int, typer.Option("--seed", help="of the order random", min=0, metavar="N")] = 0,
    output: Annotated[
        str | None, typer.Option("--output", help="folder for suggestion.csv and suggestion.json", metavar="FOLDER")
    ] = None,
    accept: Annotated[
        str | None, typer.Option("--accept", help="judgements of the checks that you overrule: D103,D107", metavar="CODES")
    ] = None,
) -> None:
    """Choose the scans to label next, from what a model sees in them; no label is read."""
    check_there("input", data, "--data")
    model_there(model)
    from monai_hybrid.look_first import refuse_all_labelled  # here, because it brings jsonschema

    refuse_all_labelled(data)
    run(["-m", "monai_hybrid.suggesting", *context.meta[WORDS]])


@command("phantom", "phantom --output scanner_A", "phantom --output scanner_B --site B --dims 2 --cases 40")
@forwards(data_prep.phantom)
def phantom(words: list[str]) -> None:
    """Make the built-in data set: labelled images of a made-up anatomy, as two different scanners show it."""
    run(["-m", "data_prep", "phantom", *words])
