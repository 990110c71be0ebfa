"""What a whole prediction costs, from the start of the process to its last file, and where that goes.

python -m benchmarks.speed.pipeline --json pipeline.json
python -m benchmarks.speed.pipeline --sets small slices --threads 1

Three sets of made-up images with a small network of random weights: 100 volumes of 40 x 40 x 40, 4 volumes of 256 x 256 x 128,
300 pictures of 256 x 256. `monai-hybrid predict` runs on each as a user types it; a second run of the same work, in stages,
says where the time goes: first the words of the command line, then the process that it starts. Processor seconds count where
other people use the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from PIL import Image

from benchmarks.ending import ended
from benchmarks.speed.processor import add_isa, isa_environment, processor, restart_with
from monai_hybrid.allocator import process_environment
from monai_hybrid.commands import bundle_command
from monai_hybrid.distilling.student import student_network
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import make_card, save_weights

STAGES = "benchmarks.speed.pipeline_stages"
PROGRAM = [sys.executable, "-m", "monai_hybrid.cli", "predict"]
COMMAND_LINE = "start: the command line"
AT_THE_ENDS = ("files: read and check", "files: read again", "to the network's grid", "masks: written")
AS_INSTALLED = {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": ""}  # compiled once, not at each start
LABELS = [{"index": i, "value": i, "name": name} for i, name in enumerate(("background", "inner", "outer"))]


@dataclass(frozen=True)
class Images:
    """A set of images.

    Attributes:
        count, shape: how many of how many voxels.
        spacing: of the model's grid; the images have 1.
        patch: the model's window.
    """

    count: int
    shape: tuple[int, ...]
    spacing: float
    patch: int


SETS = {
    "small": Images(100, (40, 40, 40), 1.25, 32),
    "large": Images(4, (256, 256, 128), 1.5, 64),
    "slices": Images(300, (256, 256), 2.0, 96),
}


def make_images(images: Images, folder: Path) -> None:
    """Smooth blobs with noise: int16 volumes of 1 mm, or grey pictures."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    axes = np.meshgrid(*(np.linspace(-1, 1, edge, dtype=np.float32) for edge in images.shape), indexing="ij")
    for i in range(images.count):
        centre = random.uniform(-0.3, 0.3, len(images.shape))
        distance = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True))
        values = 600 * np.exp(-4 * distance) + random.normal(0, 40, images.shape) + 200
        if len(images.shape) == 2:
            Image.fromarray((values / 4).clip(0, 255).astype(np.uint8).T).save(folder / f"case_{i:03d}.png")
        else:
            nib.save(nib.Nifti1Image(values.astype(np.int16), np.eye(4)), folder / f"case_{i:03d}.nii.gz")


def make_model(images: Images, folder: Path) -> Path:
    """The student of a plain network, with random weights."""
    dims = len(images.shape)
    network = {**student_network({"channels": [16, 32, 64]}, 16), "spatial_dims": dims, "in_channels": 1, "num_classes": 3}
    torch.manual_seed(0)
    made = HybridDiffusionUNet(**network)
    dataset = {"spatial_dims": dims, "channels": ["image"], "labels": LABELS, "name": "made"}
    scale = {"method": "percentiles", "lower": 0.5, "upper": 99.5, "range": [-1, 1]}
    plan = {"normalization": scale, "resampling": "area", "batch_size": 8}
    training = {"objective": "distilled", "patch_size": [images.patch] * dims, "spacing": [images.spacing] * dims}
    save_weights(made.state_dict(), folder, make_card(network, dataset, plan, training))
    return folder / "model.safetensors"


def measured(command: Sequence[str], environment: dict[str, str]) -> dict[str, float]:
    """Wall and processor seconds of a command with all its children.

    Raises:
        SystemExit: it failed.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return {"wall": wall, "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def run_set(images: Images, folder: Path, repetitions: int, precision: str) -> dict[str, Any]:
    """The whole command, the best of several runs by processor time, and its stages."""
    make_images(images, folder / "images")
    model = make_model(images, folder / "model")
    environment = {**os.environ, **process_environment(), **AS_INSTALLED}
    whole = []
    for i in range(repetitions):
        words = [str(folder / "images"), "--model", str(model), "--output", str(folder / f"masks_{i}")]
        words += ["--precision", precision, "--progress-bar", "False"]
        whole.append(measured([*PROGRAM, *words], environment))
    named = {
        "IMAGES": ("input", str(folder / "images")),
        "--model": ("model", str(model)),
        "--output": ("output_dir", str(folder / "masks_stages")),
    }
    settings = {"precision": precision, "progress_bar": "False"}
    words = bundle_command("few_shot_finetune", "inference.json", settings, named).words[2:]
    told = folder / "stages.json"
    measured([sys.executable, "-m", STAGES, str(told), *words], environment)
    parts = json.loads(told.read_text(encoding="utf-8"))
    line = min(measured([*PROGRAM, "--help"], environment)["processor"] for _ in range(repetitions))
    parts["stages"] = {COMMAND_LINE: line, **parts["stages"]}
    parts["waited"] += line
    best = min(whole, key=lambda one: one["processor"])
    return {"images": images.count, "shape": list(images.shape), "runs": whole, **best, **parts}


def text(report: dict[str, Any]) -> str:
    """Markdown: a row a set, then a table of its stages."""
    lines = [f"{name}: {value}" for name, value in report["machine"].items()]
    for name, one in report["sets"].items():
        shape = " x ".join(map(str, one["shape"]))
        lines += ["", f"## {name}: {one['images']} of {shape}", ""]
        lines += [f"whole command: {one['processor']:.1f} processor seconds, {one['wall']:.1f} on the wall", ""]
        lines += ["| stage | processor s | share |", "| --- | --- | --- |"]
        total = sum(one["stages"].values())
        lines += [f"| {stage} | {seconds:.2f} | {seconds / total:.0%} |" for stage, seconds in one["stages"].items()]
        lines.append(f"| all | {total:.2f} | |")
        network = one["stages"]["network"]
        rest = one["waited"] - network
        lines.append(
            f"| of it in the main thread, without the network | {rest:.2f} | {rest / one['waited']:.0%} of its seconds |"
        )
        lines.append(f"| of it beside the main thread | {total - one['waited']:.2f} | |")
        ends = sum(one["stages"].get(stage, 0.0) for stage in AT_THE_ENDS) / one["images"]
        said = "of that the first image's reading and the last mask's writing, which are waited for"
        lines.append(f"| {said} | {ends:.2f} | |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--json", type=Path, help="write everything measured here")
    add_isa(parser)
    args = parser.parse_args()
    restart_with({**isa_environment(args.isa), **_threads(args.threads)})
    machine = {"device": processor(), "threads": args.threads, "torch": torch.__version__}
    report: dict[str, Any] = {"machine": machine, "sets": {}}
    for name in args.sets:
        with tempfile.TemporaryDirectory() as folder:
            report["sets"][name] = run_set(SETS[name], Path(folder), args.repetitions, args.precision)
    print(text(report))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _threads(number: int) -> dict[str, str]:
    return {} if os.environ.get("OMP_NUM_THREADS") == str(number) else {"OMP_NUM_THREADS": str(number)}


if __name__ == "__main__":
    sys.exit(ended(main))
