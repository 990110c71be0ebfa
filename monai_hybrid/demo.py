"""The whole story on built-in data: two scanners, three labels, a report.

    python -m monai_hybrid.demo --output_dir demo

Pretrain on many labelled patients of scanner A; adapt with three labelled patients of scanner B; score before, after and
against training from scratch; segment a volume; write `report.html`. Every step is a command that is printed, so that each
can be repeated by hand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from monai.transforms import Compose, LoadImage, Orientation, ScaleIntensityRangePercentiles
from rich.console import Console
from rich.table import Table

from data_prep.files import read_datalist
from monai_hybrid.allocator import process_environment
from monai_hybrid.engines.pictures import best_slice
from monai_hybrid.errors import EnvironmentFault, HybridError
from monai_hybrid.reporting.figures import Panel, contact_sheet, middle_slices

BUNDLES = Path("bundles")
CASES = 36
SHOTS = 3
UPDATES = 200  # of fine-tuning; the default, 350 for three patients, gives scratch more and the adapted model nothing here
# Smaller than the plan of the phantom: minutes on two cores instead of a quarter of an hour.
PRETRAINING = {
    "max_epochs": 8,
    "updates_per_epoch": 50,
    "batch_size": 8,
    "spacing": "[3,3,3]",
    "patch_size": "[24,28,24]",
    "val_interval": 4,
    "warmup_updates": 20,
    "learning_rate": 0.002,
}
console = Console()


def run(words: list[str], title: str) -> None:
    """Print and run one `python ...` command.

    Raises:
        EnvironmentFault: the command failed; its own message stands above.
    """
    console.rule(f"[bold]{title}")
    console.print("python " + " ".join(words), soft_wrap=True, highlight=False)
    started = time.monotonic()
    environment = {**os.environ, **process_environment()}
    if subprocess.run([sys.executable, "-W", "ignore", *words], check=False, env=environment).returncode:
        raise EnvironmentFault(f"demo: the step '{title}' failed; see its message above")
    console.print(f"[dim]{time.monotonic() - started:.0f} s")


def run_bundle(config: str, title: str, **settings: object) -> None:
    """Run one configuration of a bundle, e.g. "few_shot_finetune/evaluate.json"."""
    bundle, file = config.split("/")
    words = ["-m", "monai.bundle", "run", "--config_file", str(BUNDLES / bundle / "configs" / file)]
    run(words + [word for name, value in settings.items() for word in (f"--{name}", str(value))], title)


def make_site(site: str, folder: Path) -> Path:
    """Generate and prepare the patients of one scanner; returns the prepared folder."""
    raw, prepared = folder / f"scanner_{site}", folder / f"scanner_{site}_prepared"
    words = ["-m", "data_prep", "phantom", "--site", site, "--cases", str(CASES), "--out", str(raw)]
    run(words, f"Making {CASES} patients of scanner {site}")
    run(["-m", "data_prep", "build", str(raw), "--out", str(prepared)], f"Checking and describing scanner {site}")
    return prepared


def demo(output_dir: Annotated[Path, typer.Option("--output_dir", help="folder for all results")] = Path("demo")) -> None:
    """Scanner A to three labels of scanner B, with a report; six to seven minutes on two cores."""
    if not BUNDLES.is_dir():
        raise EnvironmentFault(f"demo: {BUNDLES} not found; run it from the root of the repository")
    began = time.monotonic()
    source, target = (make_site(site, output_dir / "data") for site in "AB")
    source_run, adapted, scratch = (output_dir / name for name in ("pretrained", "adapted", "scratch"))
    model = source_run / "models/model.pt"
    pretraining = {"dataset_dir": source, "output_dir": source_run, "overwrite": True, **PRETRAINING}
    run_bundle("hybrid_pretrain/train.json", "Pretraining on scanner A", **pretraining)
    run_bundle("hybrid_pretrain/sample.json", "Sampling image-mask pairs", model=model, output_dir=output_dir / "samples")
    fine_tuning = {"dataset_dir": target, "shots": SHOTS, "updates": UPDATES, "overwrite": True}
    for title, folder, start in (
        (f"Adapting to scanner B: {SHOTS} labels", adapted, {"pretrained": model}),
        ("The same labels, from scratch", scratch, {"pretrained": "scratch", "plan_from": model}),
    ):
        run_bundle("few_shot_finetune/train.json", title, output_dir=folder, **start, **fine_tuning)
    runs = {"before": source_run, "scratch": scratch, "adapted": adapted}
    for name, folder in runs.items():
        forgetting = {"source_dir": source, "pretrained": model} if name == "adapted" else {}
        score(name, folder, target, **forgetting)
    predict(target, adapted, output_dir)
    words = ["-m", "monai_hybrid.reporting", str(adapted), "--output", str(output_dir / "report.html")]
    for name in ("before", "scratch"):
        words += ["--compare", f"{name}={runs[name] / 'eval'}"]
    run(words, "The report")
    print_summary(runs, output_dir, time.monotonic() - began)


def score(name: str, folder: Path, target: Path, **settings: object) -> None:
    """Evaluate a run's model on the test patients of the target; results in its `eval/`."""
    run_bundle(
        "few_shot_finetune/evaluate.json",
        f"Scanner B's test patients: {name}",
        model=folder / "models/model.pt",
        dataset_dir=target,
        output_dir=folder / "eval",
        **settings,
    )


def predict(target: Path, adapted: Path, output_dir: Path) -> None:
    """Segment one volume as a user would, and draw it beside the truth."""
    case = read_datalist(target)["testing"][0]
    masks = output_dir / "predictions"
    settings = {"model": adapted / "models/model.pt", "input": case["image"], "output_dir": masks}
    run_bundle("few_shot_finetune/inference.json", "Segmenting a volume of scanner B", **settings)
    write_prediction_sheet(case["image"], case["label"], masks / f"{case['case_id']}_seg.nii.gz", output_dir / "prediction.png")


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
    }.items():
        console.print(f"{what}: {output_dir / file}", highlight=False)
    console.print(f"[dim]{seconds / 60:.1f} min")


def main() -> None:
    """Run the command line; our own errors end in one line and their exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(demo)
    try:
        app()
    except HybridError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
