"""What `check` and `build` cost on thousands of files: seconds and memory, with one process that reads and with several.

python -m benchmarks.speed.preparing --json preparing.json
python -m benchmarks.speed.preparing --sets pictures --cases 500 --jobs 1 2

Two made-up data sets of 2,500 images and as many masks each: pictures of 256 x 256, and volumes of 64 x 64 x 32. Each command
runs as a user types it, from the start of its process to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

from benchmarks.ending import ended
from benchmarks.speed.processor import processor
from monai_hybrid.allocator import process_environment

SHAPES = {"pictures": (256, 256), "volumes": (64, 64, 32)}
PROGRAM = [sys.executable, "-m", "monai_hybrid.cli"]
FAILED = "exit code {code}\n{said}"


def make_set(shape: tuple[int, ...], cases: int, folder: Path) -> None:
    """A noisy ball in each image, and its mask, in `images/` and `labels/`."""
    random = np.random.default_rng(0)
    axes = np.meshgrid(*(np.arange(edge, dtype=np.float32) for edge in shape), indexing="ij")
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for i in range(cases):
        centre = [edge / 2 + random.uniform(-0.1, 0.1) * edge for edge in shape]
        distance = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)) ** 0.5
        mask = (distance < min(shape) / 4).astype(np.uint8)
        values = 60 + 100 * mask + random.integers(0, 40, shape, dtype=np.int16)
        for part, array in (("images", values), ("labels", mask)):
            if len(shape) == 2:
                Image.fromarray(array.astype(np.uint8)).save(folder / part / f"p{i:05d}.png", compress_level=1)
            else:
                kind = np.uint8 if part == "labels" else np.int16
                nib.save(nib.Nifti1Image(array.astype(kind), np.diag([1.0, 1, 2, 1])), folder / part / f"p{i:05d}.nii.gz")


def timed(words: Sequence[str]) -> dict[str, float]:
    """Wall and processor seconds of a command with its children, and the most memory that one of its processes held, in MB.

    Raises:
        SystemExit: the command failed.
    """
    environment = {**os.environ, **process_environment(), "PYTHONDONTWRITEBYTECODE": ""}
    started = time.perf_counter()
    watched = "import os, resource, subprocess, sys; done = subprocess.run(sys.argv[1:], capture_output=True, text=True); "
    watched += "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
    watched += "print(done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, done.stderr[-2000:], sep='\\n')"
    told = subprocess.run(
        [sys.executable, "-c", watched, *PROGRAM, *words], capture_output=True, text=True, env=environment, check=True
    )
    code, seconds, memory, said = told.stdout.split("\n", 3)
    if int(code):
        sys.exit(f"{' '.join(words)}: {FAILED.format(code=code, said=said)}")
    return {"wall": time.perf_counter() - started, "processor": float(seconds), "megabytes": float(memory)}


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each set, command and number of processes."""
    rows = []
    for name in args.sets:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            make_set(SHAPES[name], args.cases, folder / "raw")
            for jobs in args.jobs:
                for command in ("check", "build"):
                    words = [command, str(folder / "raw"), "--jobs", str(jobs)]
                    words += ["--output", str(folder / f"prepared_{jobs}")] if command == "build" else []
                    rows.append({"set": name, "files": 2 * args.cases, "command": command, "jobs": jobs, **timed(words)})
    return rows


def text(rows: Sequence[dict[str, Any]], machine: str) -> str:
    """Markdown: a row for each command."""
    lines = ["| set | files | command | processes | s | processor s | ms a file | MB |", "| --- " * 8 + "|"]
    for row in rows:
        each = 1000 * row["processor"] / row["files"]
        cells = [row["set"], row["files"], row["command"], row["jobs"]]
        cells += [f"{row['wall']:.1f}", f"{row['processor']:.1f}", f"{each:.1f}", f"{row['megabytes']:.0f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", f"{machine}. MB: the largest process."])


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--cases", type=int, default=2500, help="images, each with a mask")
    parser.add_argument("--jobs", nargs="+", type=int, default=[1, 2], help="processes that read")
    parser.add_argument("--json", type=Path, help="write everything measured here")
    args = parser.parse_args(words)
    rows = measure(args)
    print(text(rows, processor()))
    if args.json:
        args.json.write_text(json.dumps({"machine": processor(), "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(ended(main))
