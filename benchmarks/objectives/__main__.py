"""Pretrain one network with each objective on equal updates and score it on the source test cases.

    python -m benchmarks.objectives --dataset_dir PREPARED --output_dir RUNS -- --max_epochs 10 --updates_per_epoch 100

Everything after `--` goes to `train.json` of every arm. Finished arms are skipped, so an interrupted study resumes. A diffusion
model has no trained mask head; two short supervised runs, from its weights and from scratch, show what its body is worth.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.bundle_run import run_bundle
from benchmarks.ending import ended
from benchmarks.objectives.report import write_report

ARMS = ("hybrid", "supervised", "noisy_supervised", "two_pass", "diffusion")
PROBES = {"diffusion_probe": "diffusion", "scratch_probe": None}


def train_and_evaluate(folder: Path, dataset_dir: str, extra: dict[str, str], **settings: Any) -> None:
    """One arm: train, then Dice of every source test case on the label's own grid."""
    if (folder / "eval" / "summary.json").is_file():
        return
    started = time.monotonic()
    run_bundle("train.json", dataset_dir=dataset_dir, output_dir=folder, resume=True, **extra, **settings)
    minutes = (time.monotonic() - started) / 60
    run_bundle("evaluate.json", dataset_dir=dataset_dir, model=folder / "models/model.pt", output_dir=folder / "eval")
    (folder / "minutes.json").write_text(json.dumps(minutes))


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_dir", required=True, help="a folder made by `python -m data_prep build`")
    parser.add_argument("--output_dir", required=True, type=Path)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--probe_updates", type=int, default=100)
    parser.add_argument("--num_samples", type=int, default=4)
    args, rest = parser.parse_known_args()
    words = [word for word in rest if word != "--"]
    extra = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}

    for arm in args.arms:
        train_and_evaluate(args.output_dir / arm, args.dataset_dir, extra, objective=arm)
    short = {**extra, "max_epochs": "1", "updates_per_epoch": str(args.probe_updates), "warmup_updates": "10"}
    for probe, start in PROBES.items():
        if args.probe_updates and (start is None or start in args.arms):
            more = {"pretrained": args.output_dir / start / "models/model.safetensors"} if start else {}
            train_and_evaluate(args.output_dir / probe, args.dataset_dir, short, objective="supervised", **more)
    if "hybrid" in args.arms and not (args.output_dir / "samples").is_dir():
        model = args.output_dir / "hybrid/models/model.pt"
        run_bundle("sample.json", model=model, output_dir=args.output_dir / "samples", num_samples=args.num_samples)
    print(write_report(args.output_dir))


if __name__ == "__main__":
    sys.exit(ended(main))
