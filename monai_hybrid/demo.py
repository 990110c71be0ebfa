"""The whole story on built-in data: two scanners, three labels, a report.

    python -m monai_hybrid.demo --output_dir demo

Pretrain on many labelled patients of scanner A; adapt with three labelled patients of scanner B; score before, after and
against training from scratch; segment a volume; write `report.html`. Every step is a command, and all of them are kept in
`commands.sh`, so that each can be repeated by hand.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, which take seconds: a signal ends them in a sentence
    from monai_hybrid.launch import take_signals

    take_signals()

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from monai.transforms import Compose, LoadImage, Orientation, ScaleIntensityRangePercentiles
from rich.console import Console
from rich.table import Table

from data_prep.files import read_datalist
from data_prep.interrupts import told
from monai_hybrid import one_command
from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.demo_steps import COMMANDS, LOG, Step, Teller
from monai_hybrid.engines.pictures import best_slice
from monai_hybrid.reporting.figures import Panel, contact_sheet, middle_slices

BUNDLES = Path("bundles")
SHOTS = 3
EPOCH = 50  # updates of pretraining
FINE_EPOCH = 25  # of fine-tuning, the bundle's default
# Coarser than the plan of the phantom: one small patch holds a whole head.
COARSE: dict[str, Any] = {
    "batch_size": 8,
    "spacing": "[3,3,3]",
    "patch_size": "[24,28,24]",
    "updates_per_epoch": EPOCH,
    "warmup_updates": 20,
}
# The cheaper stem with two narrow levels: 12.7 GFLOP an update in place of the 98.6 of the plan's network.
CHEAP_NETWORK = (
    "$dict(@data.plan['network'], stem='space_to_depth', channels=[16, 32], num_res_blocks=[1, 1], "
    "attention_levels=[False, False], spatial_dims=@spatial_dims, in_channels=@num_channels, num_classes=@num_classes)"
)


@dataclass(frozen=True)
class Story:
    """How long a story is told.

    Attributes:
        cases: patients of each scanner.
        epochs: of pretraining.
        updates: of fine-tuning, adapted and from scratch alike.
        update_seconds: what one took on two cores without AVX-512, of pretraining or fine-tuning.
        pretraining, fine_tuning: settings.
    """

    cases: int
    epochs: int
    updates: int
    update_seconds: float
    pretraining: dict[str, Any] = field(default_factory=dict)
    fine_tuning: dict[str, Any] = field(default_factory=dict)


SHORT = Story(
    cases=24,
    epochs=6,
    updates=150,
    update_seconds=0.35,
    pretraining={"network_args": CHEAP_NETWORK, "learning_rate": 0.003, "val_interval": 6},
    fine_tuning={"learning_rate": 0.001},
)
# The plan's own network; 350 updates, the default for three patients, give scratch more and the adapted model nothing here.
FULL = Story(
    cases=36, epochs=8, updates=200, update_seconds=2.0, pretraining={"learning_rate": 0.002, "val_interval": 4}, fine_tuning={}
)
console = Console()


def bundle_step(config: str, title: str, seconds: float, *, epochs: int = 0, **settings: Any) -> Step:
    """One run of a bundle's configuration, e.g. "few_shot_finetune/evaluate.json"; of a training it knows how far it is."""
    bundle, file = config.split("/")
    local = (BUNDLES / bundle).is_dir()  # in the repository commands.sh has short paths
    folder = BUNDLES / bundle if local else bundle_folder(bundle)
    words = ["-m", "monai.bundle", "run", "--config_file", str(folder / "configs" / file)]
    words += [] if local else ["--bundle_root", str(folder)]
    words += [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    history = Path(str(settings["output_dir"])) / "logs/history.jsonl" if epochs else None
    return Step(title, words, seconds, history, epochs)


def site_steps(site: str, cases: int, raw: Path, prepared: Path) -> list[Step]:
    """Generate and prepare the patients of one scanner."""
    words = ["-m", "data_prep", "phantom", "--site", site, "--cases", str(cases), "--output", str(raw)]
    build = ["-m", "data_prep", "build", str(raw), "--output", str(prepared)]
    return [Step(f"making {cases} patients of scanner {site}", words, 6), Step(f"checking scanner {site}", build, 2)]


def training_steps(story: Story, source: Path, target: Path, out: Path) -> list[Step]:
    """Pretraining on scanner A, adapting to B, and the same from scratch."""
    model = out / "pretrained/models/model.pt"
    pretraining: dict[str, Any] = {
        "dataset_dir": source,
        "output_dir": out / "pretrained",
        "overwrite": True,
        **COARSE,
        **story.pretraining,
    }
    title, seconds = f"pretraining on scanner A, {story.epochs * EPOCH} updates", story.epochs * EPOCH * story.update_seconds
    steps = [
        bundle_step(
            "hybrid_pretrain/train.json", title, 20 + seconds, epochs=story.epochs, max_epochs=story.epochs, **pretraining
        ),
        bundle_step("hybrid_pretrain/sample.json", "sampling image-mask pairs", 15, model=model, output_dir=out / "samples"),
    ]
    fine_tuning = {"dataset_dir": target, "shots": SHOTS, "updates": story.updates, "overwrite": True, **story.fine_tuning}
    for title, name, start in (
        (f"adapting to scanner B with {SHOTS} labels", "adapted", {"pretrained": model}),
        ("the same labels and updates from scratch", "scratch", {"pretrained": "scratch", "plan_from": model}),
    ):
        settings: dict[str, Any] = {"output_dir": out / name, **start, **fine_tuning}
        seconds, epochs = 15 + story.updates * story.update_seconds, -(-story.updates // FINE_EPOCH)
        steps.append(bundle_step("few_shot_finetune/train.json", title, seconds, epochs=epochs, **settings))
    return steps


def score_step(name: str, folder: Path, target: Path, **settings: Any) -> Step:
    """Evaluate a run's model on the test patients of the target; results in its `eval/`."""
    paths: dict[str, Any] = {"model": folder / "models/model.pt", "dataset_dir": target, "output_dir": folder / "eval"}
    return bundle_step("few_shot_finetune/evaluate.json", f"scoring on scanner B: {name}", 12, **paths, **settings)


def steps_of(story: Story, out: Path) -> tuple[list[Step], dict[str, Path]]:
    """All steps, and the folders of the runs that are compared."""
    source, target = out / "data/scanner_A_prepared", out / "data/scanner_B_prepared"
    runs = {"before": out / "pretrained", "scratch": out / "scratch", "adapted": out / "adapted"}
    steps = [
        *site_steps("A", story.cases, out / "data/scanner_A", source),
        *site_steps("B", story.cases, out / "data/scanner_B", target),
        *training_steps(story, source, target, out),
    ]
    forgetting: dict[str, Any] = {"source_dir": source, "pretrained": out / "pretrained/models/model.pt"}
    steps += [score_step(name, folder, target, **(forgetting if name == "adapted" else {})) for name, folder in runs.items()]
    inference: dict[str, Any] = {
        "model": out / "adapted/models/model.pt",
        "input": target,
        "output_dir": out / "predictions",
        "overwrite": True,
    }
    steps.append(bundle_step("few_shot_finetune/inference.json", "segmenting scanner B's test patients", 12, **inference))
    report = ["-m", "monai_hybrid.reporting", str(runs["adapted"]), "--output", str(out / "report.html")]
    report += [word for name in ("before", "scratch") for word in ("--compare", f"{name}={runs[name] / 'eval'}")]
    return [*steps, Step("the report", report, 8)], runs


def demo(
    output_dir: Annotated[Path, typer.Option("--output_dir", help="folder for all results")] = Path("demo"),
    full: Annotated[bool, typer.Option("--full", help="the plan's own network, more patients and updates")] = False,
) -> None:
    """Scanner A to three labels of scanner B, with a report."""
    began = time.monotonic()
    steps, runs = steps_of(FULL if full else SHORT, output_dir)
    with told():
        Teller(steps, output_dir, lambda line: print(line, flush=True)).run()
    case = read_datalist(output_dir / "data/scanner_B_prepared")["testing"][0]
    mask = output_dir / "predictions" / f"{case['case_id']}_seg.nii.gz"
    write_prediction_sheet(case["image"], case["label"], mask, output_dir / "prediction.png")
    print_summary(runs, output_dir, time.monotonic() - began)


def write_prediction_sheet(image: str, label: str, prediction: Path, path: Path) -> None:
    """Image, expert's mask and predicted mask of one volume, in the slice where the mask is largest."""
    load = Compose([LoadImage(image_only=True, ensure_channel_first=True), Orientation("RAS", labels=None)])
    grey = ScaleIntensityRangePercentiles(0.5, 99.5, -1, 1, clip=True)(load(image))[0]
    true, predicted = (torch.as_tensor(np.asarray(load(name)[0])) for name in (label, prediction))
    z = best_slice(true)
    views = [middle_slices(np.asarray(grey[..., z]), m[..., z].numpy()) for m in (true, predicted)]
    names = {int(k): v for k, v in json.loads(Path(label).parents[1].joinpath("labels.json").read_text()).items()}
    row = [Panel(views[0][0]), *[Panel(*view) for view in views]]
    contact_sheet([row], ["image", "truth", "prediction"], [], path, names, panel_inches=2.4)


def print_summary(runs: dict[str, Path], output_dir: Path, seconds: float) -> None:
    """Mean Dice of each structure in each run, and where the files are."""
    dice = {name: json.loads((folder / "eval/summary.json").read_text())["dice"] for name, folder in runs.items()}
    table = Table(title=f"Dice on scanner B's test patients, {SHOTS} labels")
    table.add_column("structure")
    for name in runs:
        table.add_column(name, justify="right")
    for structure in dice["adapted"]:
        means = [dice[name][structure]["mean"] for name in runs]
        table.add_row(structure, *("-" if mean is None else f"{mean:.3f}" for mean in means))
    console.print(table)
    for what, file in {
        "report": "report.html",
        "segmented volume": "prediction.png",
        "sampled pairs": "samples/contact_sheet.png",
        "adapted model": "adapted/models/model.safetensors",
        "all commands": COMMANDS,
        "what they said": LOG,
    }.items():
        console.print(f"{what}: {output_dir / file}", highlight=False, markup=False)
    console.print(f"[dim]{seconds / 60:.1f} min")


def main() -> None:
    """Run the command line."""
    one_command.run(demo, "python -m monai_hybrid.demo")


if __name__ == "__main__":
    main()
