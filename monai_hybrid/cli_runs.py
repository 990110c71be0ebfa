"""`monai-hybrid pretrain`, `adapt`, `predict` and `evaluate`: commands that run a bundle."""

from __future__ import annotations

import os
from functools import partial
from typing import Annotated

import typer

from data_prep.cli import KeepNames
from data_prep.errors import ConfigError
from data_prep.naming import KEEP
from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.catalogue.folder import any_universal
from monai_hybrid.cli_app import MODEL, Model, Needed, command, finish
from monai_hybrid.command_options import BundleWords, with_settings
from monai_hybrid.commands import (
    DISTILLING,
    SCORING,
    Named,
    bundle_command,
    distil_command,
    evaluation_command,
    training_command,
)
from monai_hybrid.next_steps import after_adapt, after_evaluate, after_masks, after_predict, after_pretrain
from monai_hybrid.setting_checks import which_model
from monai_hybrid.tracking import with_tracking

Data = Annotated[
    str | None, typer.Option("--data", help="prepared or raw folder; none: the built-in phantom", metavar="FOLDER")
]
Output = Annotated[str | None, typer.Option("--output", help="folder for the results; none: runs/...", metavar="FOLDER")]
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
Masks = Annotated[
    str | None,
    typer.Option("--masks", help="masks to score in the place of a model, of any program or reader", metavar="FOLDER"),
]
MaskLabels = Annotated[
    str | None,
    typer.Option("--mask-labels", help='what the values of the masks mean: "1=LV,2=RV"; none: as beside them', metavar="TEXT"),
]
WithoutMask = Annotated[
    str | None,
    typer.Option("--without-mask", help="what becomes of cases that have no mask; none: refuse", metavar="refuse|leave_out"),
]
Tracking = Annotated[
    str | None, typer.Option("--tracking", help="mlflow: keep curves and settings in the results folder", metavar="mlflow|FILE")
]
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
    finish(command, partial(after_pretrain, command.output or str(bundle_folder("hybrid_pretrain"))))


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
    finish(command, partial(after_adapt, folder, real) if shots else partial(after_evaluate, folder))


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
    finish(command, partial(after_adapt, command.output, data))


USE = {"output_dir": "--output", "model": "--model", "bundle_root": ""}


@command(
    "predict",
    "predict /data/new_scans --model runs/adapted --output masks",
    "predict scan.nii.gz --model runs/adapted --output masks --statistics True --preview True",
    cls=BundleWords,
)
@with_settings("few_shot_finetune", "inference.json", {**USE, "input": "", "dataset_dir": ""})
def predict(settings: dict[str, str], images: Image, model: Model, output: Needed, keep_names: KeepNames = False) -> None:
    """Segment images; each mask lies on its image's own grid, quality.csv beside them says which to look at.

    A second call with the same model goes on where the first stopped; another model wants another folder.
    """
    if keep_names:
        os.environ[KEEP] = "1"  # for the process that this one starts
    named = {"IMAGES": ("input", images), "--model": ("model", model), "--output": ("output_dir", output)}
    command = bundle_command("few_shot_finetune", "inference.json", settings, named)
    finish(command, partial(after_predict, command.output))


@command(
    "evaluate",
    "evaluate --data target --model runs/adapted --output runs/adapted/eval",
    "evaluate --data target --model runs/adapted --output runs/adapted/eval --source source",
    "evaluate --data target --masks nnunet_masks --output nnunet_eval",
    cls=BundleWords,
)
@with_settings(
    "few_shot_finetune", SCORING, {**USE, "dataset_dir": "--data", "source_dir": "--source", "pretrained": "--before"}
)
def evaluate(
    settings: dict[str, str],
    data: Annotated[str, typer.Option("--data", help="prepared or raw folder", metavar="FOLDER")],
    output: Needed,
    model: Annotated[str | None, typer.Option("--model", help=f"model: {MODEL}", metavar="FILE")] = None,
    masks: Masks = None,
    mask_labels: MaskLabels = None,
    without_mask: WithoutMask = None,
    source: Source = None,
    before: Before = None,
    tracking: Tracking = None,
) -> None:
    """Score a model, or masks of any program, on the test cases: Dice, surface Dice, HD95, with intervals over patients.

    Then write report.html. Two evaluations of the same cases are compared by `monai-hybrid compare`.
    """
    named: Named = {"--data": ("dataset_dir", data), "--model": ("model", model), "--output": ("output_dir", output)}
    of_masks: Named = {
        "--masks": ("masks", masks),
        "--mask-labels": ("mask_labels", mask_labels),
        "--without-mask": ("without_mask", without_mask),
    }
    further: Named = {"--source": ("source_dir", source), "--before": ("pretrained", before)}
    command = evaluation_command(with_tracking(settings, tracking), {**named, **of_masks, **further})
    finish(command, partial(after_evaluate, model) if model else partial(after_masks, command.output))
