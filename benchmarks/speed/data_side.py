"""What the training's data cost: volumes in memory, memory-mapped on disk (`cache_dir`), or prepared again for every sample;
and maps applied by the loader, as MONAI's RandAffined does, or later by the batch.

python -m benchmarks.speed.data_side
python -m benchmarks.speed.data_side --dataset_dir DATA --set '{"spacing": [1, 1, 1]}' --json data_side.json

Every row is a process of its own, one after the other, for memory is a process's. The samples are those of the training's own
loader, cropped and collated, without the batch's warp.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.speed.training import QUIET, ROOT, STOCK_PARTS, report
from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.errors import EnvironmentFault

STATUS = Path("/proc/self/status")
FINE = {"spacing": [0.4, 0.4, 0.4], "patch_size": [64, 64, 64]}


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dataset_dir", type=Path, help="prepared data set; default: the built-in phantom, on a grid of 0.4 mm"
    )
    parser.add_argument("--cases", type=int, default=8, help="volumes of the phantom")
    parser.add_argument("--samples", type=int, default=24, help="counted, a row")
    parser.add_argument("--set", type=json.loads, default={}, help="settings of the bundle, '{\"spacing\": [1, 1, 1]}'")
    parser.add_argument("--json", type=Path, help="write everything measured here")
    parser.add_argument("--row", type=json.loads, help=argparse.SUPPRESS)  # the settings of this process's row
    return parser.parse_args(words)


def measure(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """All rows, in turn.

    Raises:
        EnvironmentFault: a process failed.
    """
    data, settings = args.dataset_dir or folder / "prepared", dict(args.set)
    if not args.dataset_dir:
        generate(folder / "raw", cases=args.cases, site="A", seed=0)
        build(folder / "raw", data, budget="cpu")
        settings = {**FINE, **settings}
    common = {**QUIET, **settings, "dataset_dir": str(Path(data).resolve()), "output_dir": str(folder / "out")}
    on_disk = {"cache_dir": str(folder / "volumes")}
    rows = {
        "in memory": {},
        "in memory, MONAI's RandAffined": {k: v for k, v in STOCK_PARTS.items() if k.startswith("train#random_transforms")},
        "cache_dir, first start": on_disk,
        "cache_dir, every start after": on_disk,
        "prepared for every sample (`cache_rate` 0)": {"cache_rate": 0.0},
    }
    return [{"name": name, **_process({**common, **row}, args.samples)} for name, row in rows.items()]


def _process(settings: dict[str, Any], samples: int) -> dict[str, Any]:
    words = [sys.executable, "-W", "ignore", "-m", "benchmarks.speed.data_side"]
    words += ["--row", json.dumps(settings), "--samples", str(samples)]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise EnvironmentFault(f"a process ended with exit code {done.returncode}: {last}")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def row(settings: dict[str, Any], samples: int) -> dict[str, Any]:
    """Make the training's data set, draw samples, and say what both took."""
    from benchmarks.speed.training_loop import workflow

    parser = workflow({**settings, "max_epochs": 1, "updates_per_epoch": samples, "batch_size": 1, "num_workers": 0}).parser
    parser.get_parsed_content("train#preprocessing")
    before, started = _memory(), time.perf_counter()
    dataset = parser.get_parsed_content("train#dataset")
    start, seconds = time.perf_counter() - started, []
    loader = iter(parser.get_parsed_content("train#dataloader"))
    for _ in range(samples):
        started = time.perf_counter()
        next(loader)
        seconds.append(time.perf_counter() - started)
    held = {name: value - before[name] for name, value in _memory().items()}
    return {"start_seconds": start, "seconds_a_sample": statistics.median(seconds), "cases": len(dataset), **held}


def _memory() -> dict[str, int]:
    """MB of this process that are its own, and that are pages of files, which the system takes back when it needs them."""
    lines = STATUS.read_text().splitlines() if STATUS.is_file() else []
    table = dict(line.split(":", 1) for line in lines)
    names = {"own_mb": "RssAnon", "file_mb": "RssFile"}
    return {key: int(table[name].split()[0]) // 1000 for key, name in names.items() if name in table}


def text(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| volumes | start, s | ms a sample | memory of its own, MB | pages of files, MB |", "|" + " --- |" * 5]
    for r in rows:
        memory = " | ".join(str(r.get(name, "not known")) for name in ("own_mb", "file_mb"))
        lines.append(f"| {r['name']} | {r['start_seconds']:.2f} | {1000 * r['seconds_a_sample']:.1f} | {memory} |")
    return "\n".join([*lines, "", f"{rows[0]['cases']} training volumes."])


def main() -> None:
    """Measure, print, and write; or be one row's process."""
    args = arguments()
    if args.row is not None:
        sys.stdout, told = sys.stderr, sys.stdout
        print(json.dumps(row(args.row, args.samples)), file=told)
    else:
        report(args, measure, text)


if __name__ == "__main__":
    main()
