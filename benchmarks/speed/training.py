"""The training loop: MONAI's SupervisedTrainer as it comes against train.json as it is, on the same network and data.

python -m benchmarks.speed.training --clock process
python -m benchmarks.speed.training --dataset_dir DATA --json training.json

Every loop is a process of its own, since memory settings hold for a process; they train in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.ending import ended
from benchmarks.speed.measure import Stopwatch, convolution_peak
from benchmarks.speed.processor import add_isa, isa_environment, processor, restart_with
from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.allocator import CHOSEN, keep_memory
from monai_hybrid.errors import EnvironmentFault

ROOT = Path(__file__).parents[2]
# What train.json does otherwise than MONAI's parts by themselves, taken back; no Python of ours runs in these places.
FLOAT32 = {"amp": False}
STOCK_PARTS = {
    "deterministic": False,
    "train#dataset": {
        "_target_": "CacheDataset",
        "data": "$@data.training",
        "transform": "@train#preprocessing",
        "cache_rate": "@cache_rate",
        "progress": False,
    },
    "train#random_transforms#1": {
        "_target_": "RandAffined",
        "keys": ["image", "label"],
        "prob": 0.8,
        "rotate_range": "$[0.26] * (1 if @spatial_dims == 2 else 3)",
        "scale_range": "$[0.15] * @spatial_dims",
        "translate_range": "$[s * 0.08 for s in @patch_size]",
        "padding_mode": "border",
        "mode": ["bilinear", "nearest"],
    },
    "train#random_transforms#6#keys": ["image", "label", "has_label", "case_id"],
    "optimizer#fused": False,
    "validate#evaluator#network": "$@ema.ema_model",
}
LAYERS = {"network_def#merge_layers": False}


@dataclass(frozen=True)
class Loop:
    """A training loop: settings taken back from train.json, and whether the process keeps its memory."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    keep_memory: bool = True

    @property
    def float32(self) -> bool:
        """Whether it computes in float32 wherever it runs."""
        return self.settings.get("amp") is False


LOOPS = (
    Loop("stock: MONAI's parts, float32, glibc's memory", {**FLOAT32, **STOCK_PARTS, **LAYERS}, keep_memory=False),
    Loop("memory kept", {**FLOAT32, **STOCK_PARTS, **LAYERS}),
    Loop("and bfloat16 where it pays", {**STOCK_PARTS, **LAYERS}),
    Loop("and plain tensors, nothing copied, warped by the batch, fused AdamW, folded validation", LAYERS),
    Loop("and merged layers: train.json"),
)
QUIET = {"picture_interval": 0, "checkpoint_interval": 0, "progress_bar": False, "log_interval": 1_000_000}


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_dir", type=Path, help="prepared data set; default: the built-in phantom")
    parser.add_argument("--cases", type=int, default=12, help="volumes of the phantom")
    parser.add_argument("--rounds", type=int, default=6, help="turns each loop takes, the first not counted")
    parser.add_argument("--every", type=int, default=5, help="updates a turn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", type=json.loads, default={}, help="settings of the bundle, '{\"batch_size\": 4}'")
    parser.add_argument("--clock", choices=("wall", "process"), default="wall", help="process: processor seconds, CPU only")
    parser.add_argument("--quick_peak", action="store_true", help="find the device's peak with a small convolution")
    add_isa(parser)
    parser.add_argument("--json", type=Path, help="write everything measured here")
    return parser.parse_args(words)


def start(loop: Loop, args: argparse.Namespace, data: Path, out: Path) -> subprocess.Popen[str]:
    """A process that waits to train."""
    settings = {**QUIET, "seed": args.seed, **args.set, **loop.settings, "dataset_dir": str(data), "output_dir": str(out)}
    words = [sys.executable, "-W", "ignore", "-m", "benchmarks.speed.training_loop", json.dumps(settings)]
    words += ["--rounds", str(args.rounds), "--every", str(args.every), "--clock", args.clock]
    words += ["--keep_memory"] if loop.keep_memory else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith(CHOSEN)}
    with out.with_suffix(".log").open("w") as log:
        return subprocess.Popen(
            words, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )


def turn(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    """Let a process go on, and read what it reports.

    Raises:
        EnvironmentFault: it ended instead.
    """
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write("\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has ended; what it said is in its log
    line = process.stdout.readline()
    if not line:
        last = (log.read_text().strip().splitlines() or ["it said nothing"])[-1]
        raise EnvironmentFault(f"a training loop ended with exit code {process.wait()}: {last}")
    told: dict[str, Any] = json.loads(line)
    return told


def measure(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Train all loops in turns."""
    data = args.dataset_dir or folder / "prepared"
    if not args.dataset_dir:
        generate(folder / "raw", cases=args.cases, site="A", seed=0)
        build(folder / "raw", data, budget="cpu")
    outs = [folder / f"loop_{i}" for i in range(len(LOOPS))]
    processes = [start(loop, args, Path(data).resolve(), out) for loop, out in zip(LOOPS, outs, strict=True)]
    running = [(process, out.with_suffix(".log")) for process, out in zip(processes, outs, strict=True)]
    try:
        rounds = [[turn(*one) for one in running] for _ in range(args.rounds)]
        validations = [turn(*one) for one in running]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    limits = peaks(args)
    return [
        _result(loop, list(seen), validation, args.every, limits[loop.float32])
        for loop, seen, validation in zip(LOOPS, zip(*rounds, strict=True), validations, strict=True)
    ]


def peaks(args: argparse.Namespace) -> dict[bool, float]:
    """The fastest 3D convolution of the device in FLOP/s: True for float32, False for the type of mixed precision."""
    import torch

    from monai_hybrid.bundle import mixed_precision_pays

    keep_memory()
    device = torch.device(args.set.get("device", "cuda" if torch.cuda.is_available() else "cpu"))
    mixed = torch.bfloat16 if args.set.get("amp", mixed_precision_pays(device)) else torch.float32
    stopwatch = Stopwatch(device, repetitions=5, clock=args.clock)
    return {
        kind: convolution_peak(stopwatch, dtype, args.quick_peak) for kind, dtype in ((True, torch.float32), (False, mixed))
    }


def _result(loop: Loop, seen: list[dict[str, Any]], validation: dict[str, Any], every: int, peak: float) -> dict[str, Any]:
    counted = seen[1:] or seen
    seconds = statistics.median(one["seconds"] for one in counted) / every
    return {
        "name": loop.name,
        "updates_per_second": 1 / seconds,
        "flops_per_update": seen[0]["flops"],
        "share_of_peak": seen[0]["flops"] / seconds / peak,
        "faults_per_update": statistics.median(one["faults"] for one in counted) / every,
        "validation_seconds": validation["seconds"],
        "losses": [loss for one in seen for loss in one["losses"]],
        "dice": validation["dice"],
    }


def text(results: list[dict[str, Any]]) -> str:
    """Markdown; ratios are against the first row. "of peak" is arithmetic against the device's fastest convolution: MFU."""
    first = results[0]
    columns = ("loop", "times as fast", "updates a second", "GFLOP an update", "of peak", "page faults an update")
    lines = [f"| {' | '.join(columns)} | validation, times as fast |", "|" + " --- |" * 7]
    for r in results:
        speed = r["updates_per_second"] / first["updates_per_second"]
        validation = first["validation_seconds"] / r["validation_seconds"]
        work = f"{r['flops_per_update'] / 1e9:.1f} | {r['share_of_peak']:.0%}"
        numbers = f"{speed:.2f} | {r['updates_per_second']:.2f} | {work} | {r['faults_per_update']:.0f} | {validation:.2f}"
        lines.append(f"| {r['name']} | {numbers} |")
    return "\n".join(lines)


def report(args: argparse.Namespace, measured: Callable[..., list[dict[str, Any]]], told: Callable[..., str]) -> None:
    """Measure in a temporary folder, print the table, and write the JSON asked for; our own errors end in one line."""

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            results = measured(args, Path(folder))
        print(told(results))
        if args.json:
            args.json.write_text(json.dumps(results, indent=1) + "\n")

    if code := ended(work):
        sys.exit(code)


def main() -> None:
    """Measure, print, and write."""
    args = arguments()
    restart_with(isa_environment(args.isa))
    print(f"processor: {processor()}")
    report(args, measure, text)


if __name__ == "__main__":
    main()
