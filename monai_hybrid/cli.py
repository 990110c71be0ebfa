"""`monai-hybrid`: one command for each step. Each is thin: it runs data_prep or a bundle, and prints the line it runs.

What a command does not know is handed on, so every setting of a bundle works here too: `monai-hybrid pretrain --max_epochs 20`.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from data_prep.errors import ConfigError, EnvironmentFault, HybridError
from monai_hybrid.allocator import process_environment

app = typer.Typer(
    help="Segment your own scanner's images from a handful of labelled scans.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
HAND_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
Data = Annotated[str, typer.Option("--data", help="prepared or raw folder; none: the built-in phantom")]
Model = Annotated[str, typer.Option("--model", help="model.pt or model.safetensors of a training run")]
Unlabelled = Annotated[
    str, typer.Option("--unlabelled-dir", "--unlabelled_dir", help="images without labels; needs --objective hybrid")
]
Output = Annotated[str, typer.Option("--output", help="folder for the results; none: the bundle's own")]


def bundle_folder(name: str) -> Path:
    """Where a bundle lies: beside the packages in the repository.

    Raises:
        EnvironmentFault: the packages were installed without the repository.
    """
    folder = Path(__file__).parents[1] / "bundles" / name
    if not folder.is_dir():
        raise EnvironmentFault(
            f"{folder}: the bundles are not there; they come with the repository, not with the wheel: "
            "clone it and type: pip install --editable ."
        )
    return folder


def bundle_words(bundle: str, config: str, rest: list[str], **settings: str | int) -> list[str]:
    """The words after `python`, for `python -m monai.bundle run`; empty settings are left to the bundle."""
    folder = bundle_folder(bundle)
    given = {"bundle_root": str(folder), **{name: str(value) for name, value in settings.items() if value != ""}}
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    rest = [capital(word) for word in rest]
    check_files(rest)
    return ["-m", "monai.bundle", "run", "--config_file", str(folder / "configs" / config), *words, *rest]


def capital(word: str) -> str:
    """`true` as `True`, `--name=false` as `--name=False`: monai.bundle takes the small ones for text, and text is true."""
    name, equals, value = word.rpartition("=")
    return name + equals + value.capitalize() if value in ("true", "false") else word


def check_files(words: list[str]) -> None:
    """Refuse configuration files that are missing or no JSON: MONAI reads them before any of our code runs.

    Raises:
        ConfigError: with file, line and column.
    """
    for name, files in itertools.pairwise(words):
        if name in ("--config_file", "--args_file", "--meta_file", "--logging_file"):
            for file in files.strip("[]").split(","):
                _check_file(name, Path(file.strip(" '\"")))


def _check_file(name: str, file: Path) -> None:
    if not file.is_file():
        raise ConfigError(f"{name}: no such file: {file}. Type: ls {file.parent}")
    if file.suffix == ".json":
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            hint = "; JSON has no comments, no trailing commas and double quotes only"
            raise ConfigError(f"{name}: {file}, line {error.lineno}, column {error.colno}: {error.msg}{hint}") from error
        except (UnicodeDecodeError, OSError) as error:
            raise ConfigError(f"{name}: {file}: not readable as text ({error}); expected JSON in UTF-8") from error


def run(words: list[str], report_on: Path | None = None) -> None:
    """Print the command, run it, and end with its exit code; when it went well, write the report of a folder."""
    code = _run(words)
    if code == 0 and report_on is not None:
        code = _run(["-m", "monai_hybrid.reporting", str(report_on)])
    raise typer.Exit(code)


def _run(words: list[str]) -> int:
    typer.secho("python " + shlex.join(words), dim=True, err=True)
    environment = {**os.environ, **process_environment()}
    return subprocess.run([sys.executable, *words], check=False, env=environment).returncode


def reported(evaluation: str) -> Path:
    """The run that an evaluation belongs to: the folder around `eval/` where that holds a training, else its own."""
    folder = Path(evaluation)
    return folder.parent if (folder.parent / "logs/history.jsonl").is_file() else folder


@app.command(context_settings=HAND_ON)
def check(context: typer.Context, path: Annotated[str, typer.Argument(help="raw folder or data list")]) -> None:
    """Look for defects in a data set; exit code 3 when there are any."""
    run(["-m", "data_prep", "check", path, *context.args])


@app.command(context_settings=HAND_ON)
def prepare(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="raw folder")],
    out: Annotated[str, typer.Option("--out", help="folder for the lists and the plan")],
) -> None:
    """Split by patient, describe and plan a data set; copies no image."""
    run(["-m", "data_prep", "build", source, "--out", out, *context.args])


@app.command(context_settings=HAND_ON)
def repair(
    context: typer.Context,
    path: Annotated[str, typer.Argument(help="raw folder, or a folder that holds a datalist.json")],
    out: Annotated[str, typer.Option("--out", help="a new folder for the corrected copy; the source is never touched")],
) -> None:
    """Correct what is certain into a new folder, with a log."""
    run(["-m", "data_prep", "repair", path, "--out", out, *context.args])


@app.command(context_settings=HAND_ON)
def shift(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="prepared data set that a model was trained on")],
    target: Annotated[str, typer.Argument(help="prepared data set that it shall be used on")],
) -> None:
    """Say how two prepared data sets differ, and what follows (--out FOLDER)."""
    run(["-m", "data_prep", "shift", source, target, *context.args])


@app.command(context_settings=HAND_ON)
def pretrain(context: typer.Context, data: Data = "", output: Output = "", unlabelled: Unlabelled = "") -> None:
    """Pretrain on a labelled source domain; unlabelled images, of the target scanner say, join the denoising term."""
    words = {"dataset_dir": data, "output_dir": output, "unlabelled_dir": unlabelled}
    run(bundle_words("hybrid_pretrain", "train.json", context.args, **words))


@app.command(context_settings=HAND_ON)
def adapt(
    context: typer.Context,
    data: Data = "",
    model: Model = "",
    shots: Annotated[int, typer.Option("--shots", help="labelled patients to use")] = 3,
    output: Output = "",
    unlabelled: Unlabelled = "",
) -> None:
    """Fine-tune a pretrained model on a few labelled cases of a target domain; then write report.html."""
    words = {"dataset_dir": data, "pretrained": model, "output_dir": output, "unlabelled_dir": unlabelled}
    run(bundle_words("few_shot_finetune", "train.json", context.args, shots=shots, **words), Path(output) if output else None)


@app.command(context_settings=HAND_ON)
def predict(
    context: typer.Context,
    images: Annotated[str, typer.Argument(help="a file, a folder, or a prepared data set (its test cases)")],
    model: Model,
    output: Output,
) -> None:
    """Segment images; each mask lies on its image's own grid, quality.csv beside them says which to look at.

    A second call goes on where the first stopped. Further settings: --overwrite True, --save_entropy True, --overlap 0.25.
    """
    settings = {"input": images, "model": model, "output_dir": output}
    run(bundle_words("few_shot_finetune", "inference.json", context.args, **settings))


@app.command(context_settings=HAND_ON)
def evaluate(
    context: typer.Context,
    data: Data,
    model: Model,
    output: Output,
    source: Annotated[str, typer.Option("--source", help="prepared source data set: forgetting and shift report as well")] = "",
    before: Annotated[str, typer.Option("--before", help="model before adaptation; none: the one that the model names")] = "",
) -> None:
    """Score the test cases: Dice, surface Dice, HD95, with intervals over patients; then write report.html."""
    settings = {"dataset_dir": data, "model": model, "output_dir": output, "source_dir": source, "pretrained": before}
    run(bundle_words("few_shot_finetune", "evaluate.json", context.args, **settings), reported(output))


@app.command(context_settings=HAND_ON)
def compare(context: typer.Context, a: str, b: str) -> None:
    """Compare two evaluations case by case."""
    run(["-m", "monai_hybrid.evaluation", a, b, *context.args])


@app.command(context_settings=HAND_ON)
def report(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(help="output folder of adapt, pretrain, evaluate or predict")],
) -> None:
    """Write one HTML page on a run (--compare NAME=FOLDER, --output FILE, --title TEXT)."""
    run(["-m", "monai_hybrid.reporting", folder, *context.args])


@app.command(context_settings=HAND_ON)
def audit(context: typer.Context, bundle: Annotated[str, typer.Argument(help="folder or zip file")]) -> None:
    """List all that a bundle would run, and refuse what is outside the allow-list (exit code 2); runs none of it."""
    run(["-m", "monai_hybrid.bundle.audit", bundle, *context.args])


@app.command(context_settings=HAND_ON)
def sample(context: typer.Context, model: Model, output: Output) -> None:
    """Draw image-mask pairs from a model."""
    run(bundle_words("hybrid_pretrain", "sample.json", context.args, model=model, output_dir=output))


def main() -> None:
    """Run the command line; our own errors end in one line and their exit code."""
    try:
        app()
    except HybridError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
