"""`monai-hybrid audit`, `export`, `calibrate`, `models`, `bundle` and `sample`, commands on models and bundles; and `demo`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from data_prep.errors import ConfigError
from data_prep.home import at_home
from data_prep.quoting import quoted
from monai_hybrid.catalogue.folder import names as model_names
from monai_hybrid.cli_app import Model, Needed, command, finish, model_there, one_of, run
from monai_hybrid.cli_runs import USE
from monai_hybrid.command_options import WORDS, BundleWords, with_settings
from monai_hybrid.commands import bundle_command
from monai_hybrid.next_steps import after_export
from monai_hybrid.setting_checks import check_there


@command("audit", "audit downloaded_bundle", "audit downloaded_bundle.zip --json findings.json")
def audit(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(help="folder or zip file")],
    json: Annotated[str | None, typer.Option(help="write the findings to this file", metavar="FILE")] = None,
) -> None:
    """Say whether a bundle is one of ours with other settings, or not (exit code 2); runs none of it."""
    run(["-m", "monai_hybrid.audit", *context.meta[WORDS]])


@command(
    "export",
    "export --model runs/adapted --output model.onnx",
    "export --model runs/adapted --format torchscript --output model.ts",
)
def export(
    context: typer.Context,
    model: Model,
    output: Annotated[str, typer.Option("--output", help="file to write: .ts or .onnx", metavar="FILE")],
    kind: Annotated[
        str | None, one_of("--format", "torchscript or onnx; none: by the ending of the file", "torchscript", "onnx")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace files that are there")] = False,
) -> None:
    """Write the segmenter for programs without MONAI, with how it is used in a JSON file beside it."""
    model_there(model)
    run(["-m", "monai_hybrid.exporting", *context.meta[WORDS]], partial(after_export, output))


@command(
    "calibrate",
    "calibrate --data target --model runs/adapted",
    "calibrate --data labelled --split training --model hippocampus_mr --output own.safetensors",
)
def calibrate(
    context: typer.Context,
    data: Annotated[str, typer.Option("--data", help="prepared data set with labels", metavar="FOLDER")],
    model: Model,
    split: Annotated[
        str,
        one_of("--split", "its labelled cases; training only of data that the model never saw", "validation", "training"),
    ] = "validation",
    copies: Annotated[int, typer.Option("--copies", help="worse copies a case", min=0, max=100, metavar="N")] = 4,
    output: Annotated[
        str | None,
        typer.Option("--output", help="file for a copy of the model; none: it gets the new card", metavar="FILE"),
    ] = None,
) -> None:
    """Teach a model to predict the Dice of its masks, and calibrate its probabilities, on cases it was not trained on."""
    check_there("source_dir", data, "--data")
    model_there(model)
    from monai_hybrid.look_first import refuse_without_held_out  # here, because it brings jsonschema

    if split in ("validation", "training"):
        refuse_without_held_out(data, model, split)
    run(["-m", "monai_hybrid.calibrating", *context.meta[WORDS]])


@command("models", "models", "models show hippocampus_mr", "models --json")
def models(
    action: Annotated[
        str | None, typer.Argument(help="show; none: a table of all", metavar="show", autocompletion=lambda: ["show"])
    ] = None,
    name: Annotated[str | None, typer.Argument(help="name of a model", metavar="NAME", autocompletion=model_names)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List the models that come with the package, or all that is known of one."""
    from monai_hybrid.catalogue.shown import show_models  # here, because it brings rich and jsonschema

    show_models(action, name, as_json)


@command(
    "bundle",
    "bundle copy my_bundle --model runs/adapted",
    "bundle copy source_bundle --name hybrid_pretrain",
)
def bundle(
    action: Annotated[str, typer.Argument(help="copy", metavar="copy", autocompletion=lambda: ["copy"])],
    folder: Annotated[str, typer.Argument(help="new folder", metavar="DIR")],
    model: Annotated[str | None, typer.Option("--model", help="model to put in, with its labels", metavar="FILE")] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="prepared data set whose labels the copy will be trained with", metavar="FOLDER"),
    ] = None,
    name: Annotated[str, one_of("--name", "which bundle", "few_shot_finetune", "hybrid_pretrain")] = "few_shot_finetune",
) -> None:
    """Copy a bundle into a folder, for MONAI Label, MONAI Deploy and MONAI FL."""
    from monai_hybrid.bundle_copy import copy_bundle

    if action != "copy":
        raise ConfigError(f"bundle {action}: expected copy. Type: monai-hybrid bundle copy {quoted(folder)}")
    place = copy_bundle(
        at_home(folder), name, None if model is None else at_home(model), None if data is None else at_home(data)
    )
    typer.echo(f"{place}: {name}{'' if model is None else ', with its model'}")


@command(
    "sample",
    "sample --model runs/source --output samples",
    "sample --model runs/source --output samples --num-samples 16 --method sde",
    cls=BundleWords,
)
@with_settings("hybrid_pretrain", "sample.json", USE)
def sample(settings: dict[str, str], model: Model, output: Needed) -> None:
    """Draw image-mask pairs from a model."""
    named = {"--model": ("model", model), "--output": ("output_dir", output)}
    finish(bundle_command("hybrid_pretrain", "sample.json", settings, named))


@command("demo", "demo", "demo --output story --full")
def demo(
    output: Annotated[str, typer.Option("--output", "--out", help="folder for all results", metavar="FOLDER")] = "demo",
    full: Annotated[bool, typer.Option("--full", help="the plan's own network, more patients and updates")] = False,
) -> None:
    """Tell the whole story on built-in data: scanner A to three labels of scanner B, with a report."""
    run(["-m", "monai_hybrid.demo", "--output_dir", output, *(["--full"] if full else [])])
