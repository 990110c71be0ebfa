"""What the random steps of a sample cost in few-shot fine-tuning: maps applied at once, and MONAI's own, one after the other.

    python -m benchmarks.speed.augmentation
    python -m benchmarks.speed.augmentation --dataset_dir DATA --json augmentation.json

Both forms draw the same maps for the same samples, in turns, in one thread of one process. The time of an update of the network
stands beside them. Prints a table of processor milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.label_efficiency.configuration import configuration
from benchmarks.speed.processor import processor
from benchmarks.speed.training import report
from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.bundle.data import PreparedData, read_prepared
from monai_hybrid.few_shot.starting_point import StartingPoint

DRAWN = ("DrawAffined", "Draw2DElasticd", "Draw3DElasticd")
APPLIED = {"mode": ["bilinear", "nearest"], "padding_mode": "border"}
JOINED, IN_TURN = "joined, one resampling: train.json", "MONAI's own, one after the other"
MAPS, REST = "maps", "crop and grey values"


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_dir", type=Path, help="prepared data set; default: the built-in phantom")
    parser.add_argument("--samples", type=int, default=48, help="drawn by each form, the first four not counted")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--json", type=Path, help="write everything measured here")
    return parser.parse_args(words)


def in_turn(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The configured steps with MONAI's own maps in the place of those that only draw."""
    found = []
    for step in steps:
        room, _, name = step["_target_"].rpartition(".")
        if name in DRAWN:
            step = {**step, "_target_": name.replace("Draw", "Rand"), **APPLIED}
        if not (room and name == "Warpd"):
            found.append(step)
    return found


def measure(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """A row a form: milliseconds of the maps and of the rest, of a sample; and of an update without them."""
    torch.set_num_threads(1)
    data = _data(args.dataset_dir, folder)
    plan = data.plan
    network = {**plan["network"], "spatial_dims": plan["spatial_dims"], "in_channels": len(data.dataset["channels"])}
    origin = StartingPoint(None, {**network, "num_classes": data.num_classes}, plan)
    parsers = {}
    for name in (JOINED, IN_TURN):
        parser = configuration("finetune", {"updates_per_epoch": 1, "max_epochs": 1}, data, origin, "cpu")
        if name == IN_TURN:
            parser["train#random_transforms"] = in_turn(parser["train#random_transforms"])
        parsers[name] = parser
    steps = {name: parser.get_parsed_content("train#random_transforms") for name, parser in parsers.items()}
    prepare = parsers[JOINED].get_parsed_content("train#preprocessing").transforms
    first = len(prepare) - len(steps[JOINED])
    cases = [_through(prepare[:first], dict(case)) for case in data.training[:3]]
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in steps}
    for i in range(args.samples):
        for name, these in steps.items():
            seen[name].append(_timed(these, {**cases[i % len(cases)]}, seed=i))
    update = _update(parsers[JOINED], args.batch_size, plan["patch_size"])
    rows = []
    for name, samples in seen.items():
        parts = {part: statistics.fmean(sample.get(part, 0.0) for sample in samples[4:]) for part in (MAPS, REST)}
        rows.append({"name": name, **parts, "update": update, "batch_size": args.batch_size})
    return [{**row, "patch_size": plan["patch_size"], "processor": processor()} for row in rows]


def _data(given: Path | None, folder: Path) -> PreparedData:
    if given is None:
        generate(folder / "raw", cases=6, site="A", seed=0)
        build(folder / "raw", folder / "prepared", budget="cpu")
    return read_prepared(given or folder / "prepared")


def _through(steps: Sequence[Callable[[Any], Any]], item: Any) -> Any:
    for step in steps:
        item = step(item)
    return item


def _timed(steps: Sequence[Any], item: Any, seed: int) -> dict[str, float]:
    """Milliseconds of processor time of one sample, by part; the same seed draws the same for each form."""
    took: dict[str, float] = {}
    for step in steps:
        if hasattr(step, "set_random_state"):
            step.set_random_state(seed=seed)
        part = MAPS if any(word in type(step).__name__ for word in ("Affine", "Elastic", "Warpd")) else REST
        started = time.process_time()
        item = step(item)
        took[part] = took.get(part, 0.0) + 1000 * (time.process_time() - started)
        item = item[0] if isinstance(item, list) else item  # a crop gives a list
    return took


def _update(parser: Any, batch_size: int, patch_size: Sequence[int]) -> float:
    """Processor milliseconds of a batch, forward and backward, in the number type of `train.json`; the median of five."""
    network = parser.get_parsed_content("network_def").train()
    mixed = bool(parser.get_parsed_content("amp"))
    image = torch.randn(batch_size, network.in_channels, *patch_size)
    seconds = []
    for _ in range(6):
        started = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            out = network(image, torch.zeros(batch_size, dtype=torch.long))
        out.float().square().mean().backward()
        seconds.append(time.process_time() - started)
    return 1000 * statistics.median(seconds[1:])


def text(rows: list[dict[str, Any]]) -> str:
    """Markdown; the share is that of the random steps in an update."""
    lines = ["| random maps | maps, ms a sample | crop and grey values | share of an update |", "|" + " --- |" * 4]
    for row in rows:
        batch = row["batch_size"] * (row[MAPS] + row[REST])
        share = batch / (batch + row["update"])
        lines.append(f"| {row['name']} | {row[MAPS]:.1f} | {row[REST]:.1f} | {share:.0%} |")
    patch = " x ".join(map(str, rows[0]["patch_size"]))
    about = f"{rows[0]['batch_size']} samples of {patch}; the network takes {rows[0]['update']:.0f} ms. {rows[0]['processor']}."
    return "\n".join([*lines, "", about])


def main() -> None:
    """Measure, print, and write."""
    report(arguments(), measure, text)


if __name__ == "__main__":
    main()
