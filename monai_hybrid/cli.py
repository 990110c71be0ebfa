"""`monai-hybrid`: one command for each step. Each is thin: it runs data_prep or a bundle, and prints the line it runs.

Every setting of a bundle is an option here, `--max-epochs` and `--max_epochs` alike. Mistyped names and values are refused
before MONAI is imported.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, which take a while: a signal ends them in a sentence
    from monai_hybrid.launch import take_signals

    take_signals()

import os
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from data_prep import cli as data_prep
from data_prep.errors import ConfigError, HybridError
from data_prep.home import at_home
from data_prep.naming import KEEP
from monai_hybrid import __version__
from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.catalogue.folder import any_universal
from monai_hybrid.catalogue.folder import names as model_names
from monai_hybrid.command_options import WORDS, BundleWords, Group, Words, forwards, with_settings
from monai_hybrid.commands import (
    DISTILLING,
    Command,
    Named,
    bundle_command,
    distil_command,
    execute,
    reported,
    training_command,
)
from monai_hybrid.next_steps import after_adapt, after_evaluate, after_predict, after_pretrain, no_model
from monai_hybrid.setting_checks import check_there, model_in, safe_path, which_model
from monai_hybrid.tracking import with_tracking

app = typer.Typer(
    cls=Group,
    help="Segment your own scanner's images from a handful of labelled scans.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"token_normalize_func": data_prep.dashed, "max_content_width": 110},
)
Data = Annotated[
    str | None, typer.Option("--data", help="prepared or raw folder; none: the built-in phantom", metavar="FOLDER")
]
Output = Annotated[str | None, typer.Option("--output", help="folder for the results; none: runs/...", metavar="FOLDER")]
MODEL = "a file, the folder of a run, or a name of monai-hybrid models"
IMAGES = "where the images of a prediction lie: moved, or a folder that is not yours"
Model = Annotated[str, typer.Option("--model", help=f"model: {MODEL}", metavar="FILE")]
Unlabelled = Annotated[str | None, typer.Option("--unlabelled-dir", help="images without labels", metavar="FOLDER")]
Image = Annotated[str, typer.Argument(help="a file, a folder, a BIDS data set, or a prepared one (its test cases)")]
Shots = Annotated[
    int, typer.Option("--shots", help="labelled patients to use; 0: scans without labels alone", min=0, metavar="N")
]
Source = Annotated[
    str | None, typer.Option("--source", help="prepared source data set, to score forgetting and shift", metavar="FOLDER")
]
Before = Annotated[
    str | None,
    typer.Option("--before", help="model before adaptation; none: the one that the model names", metavar="FILE"),
]
Compare = Annotated[
    list[str] | None, typer.Option("--compare", help="NAME=FOLDER: another evaluation to compare with; may be repeated")
]
Needed = Annotated[str, typer.Option("--output", help="folder for the results", metavar="FOLDER")]
Tracking = Annotated[
    str | None, typer.Option("--tracking", help="mlflow: keep curves and settings in the results folder", metavar="mlflow|FILE")
]


def run(words: list[str]) -> None:
    """Run `python WORDS` and end with its exit code."""
    finish(Command(words))


def finish(command: Command, following: str = "") -> None:
    """Run a command and end with its exit code; when all went well, say what to type next."""
    code = execute(command)
    if code == 0 and following:
        typer.echo(f"Next: {following}")
    raise typer.Exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"monai-hybrid {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """Segment your own scanner's images from a handful of labelled scans.

    COMMAND --help lists all settings of a command. --max-epochs and --max_epochs are the same.

    \b
    monai-hybrid check /data/my_hospital
    monai-hybrid build /data/my_hospital --output target
    monai-hybrid adapt --data target --model runs/source --output runs/adapted
    monai-hybrid predict /data/new_scans --model runs/adapted --output masks
    """


EXAMPLES = "Examples:"


def command(name: str, *examples: str, cls: type[Words] = Words, hidden: bool = False) -> Callable[..., Any]:
    """Add a command, with examples below its options."""
    lines = "\n".join(f"  monai-hybrid {example}" for example in examples)
    return app.command(name, cls=cls, hidden=hidden, epilog=f"\b\n{EXAMPLES}\n{lines}")


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
    if model not in (None, "auto") and model_in(at_home(model)) is None:
        check_there("model", model, "--model")
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
        str,
        typer.Option(
            "--order",
            help="what decides",
            metavar="random|typical|spread|error|entropy",
            autocompletion=lambda: ["random", "typical", "spread", "error", "entropy"],
        ),
    ] = "random",
    seed: Annotated[int, typer.Option("--seed", help="of the order random", min=0, metavar="N")] = 0,
    output: Annotated[
        str | None, typer.Option("--output", help="folder for suggestion.csv and suggestion.json", metavar="FOLDER")
    ] = None,
) -> None:
    """Choose the scans to label next, from what a model sees in them; no label is read."""
    check_there("input", data, "--data")
    if model_in(at_home(model)) is None:
        check_there("model", model, "--model")
    run(["-m", "monai_hybrid.suggesting", *context.meta[WORDS]])


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
        typer.Option(
            "--split",
            help="its labelled cases; training only of data that the model never saw",
            metavar="validation|training",
            autocompletion=lambda: ["validation", "training"],
        ),
    ] = "validation",
    copies: Annotated[int, typer.Option("--copies", help="worse copies a case", min=0, max=100, metavar="N")] = 4,
    output: Annotated[
        str | None,
        typer.Option("--output", help="file for a copy of the model; none: it gets the new card", metavar="FILE"),
    ] = None,
) -> None:
    """Teach a model to predict the Dice of its masks, and calibrate its probabilities, on cases it was not trained on."""
    check_there("source_dir", data, "--data")
    if model_in(at_home(model)) is None:
        check_there("model", model, "--model")
    run(["-m", "monai_hybrid.calibrating", *context.meta[WORDS]])


@command("phantom", "phantom --output scanner_A", "phantom --output scanner_B --site B --dims 2 --cases 40")
@forwards(data_prep.phantom)
def phantom(words: list[str]) -> None:
    """Make the built-in data set: labelled images of a made-up anatomy, as two different scanners show it."""
    run(["-m", "data_prep", "phantom", *words])


TRAINING = {"dataset_dir": "--data", "output_dir": "--output", "unlabelled_dir": "--unlabelled-dir", "bundle_root": ""}


@command(
    "pretrain",
    "pretrain --data source --output runs/source",
    "pretrain --data source --output runs/source --max-epochs 60 --unlabelled-dir scans",
    cls=BundleWords,
)
@with_settings("hybrid_pretrain", "train.json", TRAINING)
def pretrain(
    settings: dict[str, str],
    data: Data = None,
    output: Output = None,
    unlabelled: Unlabelled = None,
    tracking: Tracking = None,
) -> None:
    """Pretrain on a labelled source domain; unlabelled images, of the target scanner say, join the denoising term."""
    named = {"--data": ("dataset_dir", data), "--output": ("output_dir", output)}
    named |= {"--unlabelled-dir": ("unlabelled_dir", unlabelled)}
    command = training_command("hybrid_pretrain", with_tracking(settings, tracking), named, report=False)
    finish(command, after_pretrain(command.output or str(bundle_folder("hybrid_pretrain"))))


@command(
    "adapt",
    "adapt --data target --model runs/source --shots 3 --output runs/adapted",
    "adapt --data target --model runs/source --stopping leave_one_out",
    "adapt --shots 0 --unlabelled-dir scans --model runs/source --output runs/adapted",
    cls=BundleWords,
)
@with_settings("few_shot_finetune", "train.json", {**TRAINING, "shots": "--shots"})
def adapt(
    settings: dict[str, str],
    data: Data = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help=f"model to adapt: {MODEL}; auto: the nearest; none: the universal one", metavar="FILE|auto|scratch"
        ),
    ] = None,
    shots: Shots = 3,
    output: Output = None,
    unlabelled: Unlabelled = None,
    tracking: Tracking = None,
) -> None:
    """Fine-tune a pretrained model on a few labelled cases of a target domain; then write report.html."""
    real = settings.get("dataset_dir", data)
    if real is not None and model is None and "pretrained" not in settings and not any_universal():
        raise ConfigError(which_model("--data", real, "--model"))
    named = {"--data": ("dataset_dir", data), "--model": ("pretrained", model), "--output": ("output_dir", output)}
    named |= {"--unlabelled-dir": ("unlabelled_dir", unlabelled)}
    command = training_command(
        "few_shot_finetune", {"shots": str(shots), **with_tracking(settings, tracking)}, named, report=True
    )
    folder = command.output or str(bundle_folder("few_shot_finetune"))
    finish(command, after_adapt(folder, real) if shots else after_evaluate(folder))


@command(
    "distil",
    "distil --data target --model runs/adapted --output runs/small",
    "distil --data target --model hippocampus_mr --unlabelled-dir scans --output runs/small",
    cls=BundleWords,
)
@with_settings("few_shot_finetune", DISTILLING, {**TRAINING, "teacher": "--model"})
def distil(
    settings: dict[str, str],
    data: Annotated[str, typer.Option("--data", help="prepared or raw folder", metavar="FOLDER")],
    model: Annotated[str, typer.Option("--model", help=f"model whose masks are learnt: {MODEL}", metavar="FILE")],
    output: Needed,
    unlabelled: Unlabelled = None,
    tracking: Tracking = None,
) -> None:
    """Train a small, fast segmenter from a model's probabilities, on scans with labels and without; then write report.html."""
    named = {"--data": ("dataset_dir", data), "--model": ("teacher", model), "--output": ("output_dir", output)}
    command = distil_command(with_tracking(settings, tracking), {**named, "--unlabelled-dir": ("unlabelled_dir", unlabelled)})
    finish(command, after_adapt(command.output, data))


USE = {"output_dir": "--output", "model": "--model", "bundle_root": ""}


@command(
    "predict",
    "predict /data/new_scans --model runs/adapted --output masks",
    "predict scan.nii.gz --model runs/adapted --output masks --statistics True --preview True",
    cls=BundleWords,
)
@with_settings("few_shot_finetune", "inference.json", {**USE, "input": "", "dataset_dir": ""})
def predict(
    settings: dict[str, str], images: Image, model: Model, output: Needed, keep_names: data_prep.KeepNames = False
) -> None:
    """Segment images; each mask lies on its image's own grid, quality.csv beside them says which to look at.

    A second call goes on where the first stopped.
    """
    if keep_names:
        os.environ[KEEP] = "1"  # for the process that this one starts
    named = {"IMAGES": ("input", images), "--model": ("model", model), "--output": ("output_dir", output)}
    command = bundle_command("few_shot_finetune", "inference.json", settings, named)
    finish(command, after_predict(command.output))


@command(
    "evaluate",
    "evaluate --data target --model runs/adapted --output runs/adapted/eval",
    "evaluate --data target --model runs/adapted --output runs/adapted/eval --source source",
    cls=BundleWords,
)
@with_settings(
    "few_shot_finetune", "evaluate.json", {**USE, "dataset_dir": "--data", "source_dir": "--source", "pretrained": "--before"}
)
def evaluate(
    settings: dict[str, str],
    data: Annotated[str, typer.Option("--data", help="prepared or raw folder", metavar="FOLDER")],
    model: Model,
    output: Needed,
    source: Source = None,
    before: Before = None,
    tracking: Tracking = None,
) -> None:
    """Score the test cases: Dice, surface Dice, HD95, with intervals over patients; then write report.html."""
    named = {"--data": ("dataset_dir", data), "--model": ("model", model), "--output": ("output_dir", output)}
    further: Named = {"--source": ("source_dir", source), "--before": ("pretrained", before)}
    report_on = safe_path(reported(settings.get("output_dir", output)))
    settings = with_tracking(settings, tracking)
    command = bundle_command("few_shot_finetune", "evaluate.json", settings, {**named, **further}, report_on)
    finish(command, after_evaluate(model))


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


@command("report", "report runs/adapted", "report runs/adapted --compare before=runs/before/eval --title 'Three labels'")
def report(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(help="output folder of adapt, pretrain, evaluate or predict")],
    compare: Compare = None,
    output: Annotated[
        str | None, typer.Option("--output", help="file to write; none: report.html in the folder", metavar="FILE")
    ] = None,
    title: Annotated[str | None, typer.Option(help="heading; none: made from the name of the data set")] = None,
    viewer: Annotated[
        bool, typer.Option("--viewer/--no-viewer", help="volumes in three planes, 1 to 15 MB; or a small page of slices")
    ] = True,
    images: Annotated[str | None, typer.Option("--images", help=IMAGES, metavar="FOLDER")] = None,
) -> None:
    """Write one HTML page on a run."""
    check_there("source_dir", folder, "FOLDER")
    run(["-m", "monai_hybrid.reporting", *context.meta[WORDS]])


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
    run(["-m", "monai_hybrid.viewing", *context.meta[WORDS]])


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
        str | None,
        typer.Option(
            "--format",
            help="torchscript or onnx; none: by the ending of the file",
            metavar="torchscript|onnx",
            autocompletion=lambda: ["torchscript", "onnx"],
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace files that are there")] = False,
) -> None:
    """Write the segmenter for programs without MONAI, with how it is used in a JSON file beside it."""
    if model_in(at_home(model)) is None:  # the folder of a run is a model too
        check_there("model", model, "--model")
    run(["-m", "monai_hybrid.exporting", *context.meta[WORDS]])


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
    name: Annotated[
        str,
        typer.Option(
            "--name",
            help="which bundle",
            metavar="few_shot_finetune|hybrid_pretrain",
            autocompletion=lambda: ["few_shot_finetune", "hybrid_pretrain"],
        ),
    ] = "few_shot_finetune",
) -> None:
    """Copy a bundle into a folder, for MONAI Label, MONAI Deploy and MONAI FL."""
    from monai_hybrid.bundle_copy import copy_bundle

    if action != "copy":
        raise ConfigError(f"bundle {action}: expected copy. Type: monai-hybrid bundle copy {folder}")
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


def main() -> None:
    """Run the command line; errors end in one line and their exit code."""
    try:
        code = app(prog_name="monai-hybrid", standalone_mode=False)
    except HybridError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        sys.exit(usage_error(error))
    sys.exit(code if isinstance(code, int) else 0)


def usage_error(error: Any) -> int:
    """Say what typer found wrong, in one line; without any command it is the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        place = error.ctx.command_path if getattr(error, "ctx", None) else "monai-hybrid"
        said = _one_too_many(error) or error.format_message().rstrip(".")
        missing = type(error).__name__ == "MissingParameter" and getattr(getattr(error, "param", None), "name", "") == "model"
        typer.echo(f"error: {no_model(place)}" if missing else f"error: {said}. Type: {place} --help", err=True)
    return int(error.exit_code)


def _one_too_many(error: Any) -> str:
    """What to say of words beyond a command's arguments; empty for another error."""
    found = re.search(r"unexpected extra arguments?(?:\(s\))? \((.*)\)", error.format_message())
    command = getattr(getattr(error, "ctx", None), "command", None)
    if found is None or command is None:
        return ""
    words = found.group(1)
    if any("--data" in param.opts for param in command.params):
        return f"{words}: a word without an option. A data set is given as --data {words}"
    return f"{words}: more than the command takes. A path that holds spaces needs quotes"


if __name__ == "__main__":
    main()
