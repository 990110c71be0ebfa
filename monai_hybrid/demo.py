"""The whole story on built-in data: pretrain on scanner A, sample image-mask pairs, segment a volume, look at the result.

    python -m monai_hybrid.demo --output_dir demo

Every step is a `python -m monai.bundle run` that is printed, so that each can be repeated by hand.
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
from monai_hybrid.allocator import allocator_environment
from monai_hybrid.engines.pictures import best_slice
from monai_hybrid.errors import EnvironmentFault, HybridError
from monai_hybrid.reporting.figures import Panel, contact_sheet, middle_slices

CONFIGS = Path("bundles/hybrid_pretrain/configs")
# Smaller than the plan of the phantom: four minutes on two cores instead of fifteen.
QUICK = {
    "max_epochs": 8,
    "updates_per_epoch": 50,
    "batch_size": 8,
    "spacing": "[3,3,3]",
    "patch_size": "[24,28,24]",
    "val_interval": 2,
    "warmup_updates": 20,
    "learning_rate": 0.002,
}
console = Console()


def run_bundle(config: str, title: str, **settings: object) -> None:
    """Print and run one bundle command.

    Raises:
        EnvironmentFault: the command failed; its own message stands above.
    """
    words = ["-m", "monai.bundle", "run", "--config_file", str(CONFIGS / config)]
    words += [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    console.rule(f"[bold]{title}")
    console.print("python " + " ".join(words), soft_wrap=True, highlight=False)
    started = time.monotonic()
    environment = {**os.environ, **allocator_environment()}
    if subprocess.run([sys.executable, "-W", "ignore", *words], check=False, env=environment).returncode:
        raise EnvironmentFault(f"demo: the step '{title}' failed; see its message above")
    console.print(f"[dim]{time.monotonic() - started:.0f} s")


def demo(output_dir: Annotated[Path, typer.Option("--output_dir", help="folder for all results")] = Path("demo")) -> None:
    """Pretrain, sample, evaluate and predict on the built-in phantom; about five minutes on two cores."""
    if not CONFIGS.is_dir():
        raise EnvironmentFault(f"demo: {CONFIGS} not found; run it from the root of the repository")
    model = output_dir / "models/model.pt"
    run_bundle("train.json", "Pretraining on scanner A", output_dir=output_dir, overwrite=True, **QUICK)
    prepared = output_dir / "data/phantom_A_prepared"
    run_bundle("sample.json", "Sampling four image-mask pairs", model=model, output_dir=output_dir / "samples")
    scores = output_dir / "evaluation"
    run_bundle("evaluate.json", "Dice on test patients", model=model, dataset_dir=prepared, output_dir=scores)
    case = read_datalist(prepared)["testing"][0]
    masks = output_dir / "predictions"
    run_bundle("inference.json", "Segmenting a volume", model=model, dataset_dir=case["image"], output_dir=masks)
    prediction = masks / f"{case['case_id']}_seg.nii.gz"
    write_prediction_sheet(case["image"], case["label"], prediction, output_dir / "prediction.png")
    print_summary(output_dir)


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


def print_summary(output_dir: Path) -> None:
    """Dice per class, and where the files are."""
    scores = json.loads((output_dir / "evaluation/summary.json").read_text())["dice"]
    table = Table(title="Dice on test patients of scanner A")
    for column in ("structure", "mean", "SD", "worst", "cases counted"):
        table.add_column(column, justify="left" if column == "structure" else "right")
    for name, s in scores.items():
        numbers = ("-" if s[key] is None else f"{s[key]:.3f}" for key in ("mean", "sd", "min"))
        table.add_row(name, *numbers, f"{s['n']} of {s['cases']}")
    console.print(table)
    for what, file in {
        "sampled pairs": "samples/contact_sheet.png",
        "segmented volume": "prediction.png",
        "training pictures": "logs/pictures.png",
        "model": "models/model.safetensors",
    }.items():
        console.print(f"{what}: {output_dir / file}", highlight=False)


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
