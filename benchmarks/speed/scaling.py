"""Several processes: the samples a second of one, of several that do not talk to each other, and of several under DDP.

python -m benchmarks.speed.scaling
python -m benchmarks.speed.scaling --processes 2 --dataset_dir DATA --json scaling.json
torchrun is started by the command itself, on this machine.

Separate processes share memory bandwidth and clock and exchange no gradients, so DDP against them is the cost of the exchange.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.speed.training import QUIET, ROOT, report
from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.allocator import process_environment
from monai_hybrid.errors import EnvironmentFault

LOOP = "benchmarks.speed.scaling_loop"


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_dir", type=Path, help="prepared data set; default: the built-in phantom")
    parser.add_argument("--cases", type=int, default=12, help="volumes of the phantom")
    parser.add_argument("--processes", type=int, default=2, help="of the last two rows")
    parser.add_argument("--threads", type=int, default=1, help="a process")
    parser.add_argument("--updates", type=int, default=20, help="counted, a row")
    parser.add_argument("--skip", type=int, default=4, help="first updates that are not counted")
    parser.add_argument("--rounds", type=int, default=2, help="times that each row runs, in turns; the median update counts")
    parser.add_argument("--set", type=json.loads, default={}, help="settings of the bundle, '{\"batch_size\": 4}'")
    parser.add_argument("--json", type=Path, help="write everything measured here")
    return parser.parse_args(words)


def launch(args: argparse.Namespace, data: Path, out: Path, ddp: int = 0) -> subprocess.Popen[str]:
    """Start one training: a process alone, or `ddp` ranks under torchrun.

    Returns:
        the process; each rank writes `out/rank_R.json` at its end.
    """
    out.mkdir(parents=True)
    settings = {**QUIET, **args.set, "dataset_dir": str(data), "output_dir": str(out / "run")}
    launcher = [sys.executable, "-W", "ignore", "-m"]
    if ddp:
        launcher += ["torch.distributed.run", "--standalone", "--nproc_per_node", str(ddp), "-m"]
    words = [*launcher, LOOP, json.dumps(settings), "--updates", str(args.updates), "--skip", str(args.skip)]
    environment = {**os.environ, **process_environment(), "OMP_NUM_THREADS": str(args.threads)}
    with (out / "log").open("w") as log:
        return subprocess.Popen(
            [*words, "--report", str(out)], cwd=ROOT, env=environment, text=True, stdout=log, stderr=subprocess.STDOUT
        )


def collect(process: subprocess.Popen[str], out: Path) -> list[dict[str, Any]]:
    """What the ranks of a training wrote.

    Raises:
        EnvironmentFault: it failed.
    """
    if process.wait():
        last = ((out / "log").read_text().strip().splitlines() or ["it said nothing"])[-1]
        raise EnvironmentFault(f"a training ended with exit code {process.returncode}: {last}")
    return [json.loads(path.read_text()) for path in sorted(out.glob("rank_*.json"))]


def measure(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Run the rows in turns.

    Returns:
        a row each: name, processes, seconds (of every counted update of every process), samples_per_second, gradient_bytes.
    """
    data = args.dataset_dir or folder / "prepared"
    if not args.dataset_dir:
        generate(folder / "raw", cases=args.cases, site="A", seed=0)
        build(folder / "raw", data, budget="cpu")
    data, n = Path(data).resolve(), args.processes
    told: dict[str, list[dict[str, Any]]] = {"one process": [], f"{n} that exchange nothing": [], f"{n} under DDP": []}
    alone, separate, together = told
    for turn in range(args.rounds):
        base = folder / f"round_{turn}"
        told[alone] += collect(launch(args, data, base / "one"), base / "one")
        outs = [base / f"separate_{i}" for i in range(n)]
        running = [launch(args, data, out) for out in outs]
        for process, out in zip(running, outs, strict=True):
            told[separate] += collect(process, out)
        told[together] += collect(launch(args, data, base / "ddp", n), base / "ddp")
    return [row(name, 1 if name == alone else n, seen) for name, seen in told.items()]


def row(name: str, processes: int, seen: list[dict[str, Any]]) -> dict[str, Any]:
    """One line of the table; an update's time is the median over all updates of all ranks."""
    seconds = [second for one in seen for second in one["seconds"]]
    rate = processes * seen[0]["batch_size"] / statistics.median(seconds)
    return {"name": name, "processes": processes, "samples_per_second": rate, "seconds": seconds,
            "gradient_bytes": seen[0]["gradient_bytes"], "batch_size": seen[0]["batch_size"]}  # fmt: skip


def text(rows: list[dict[str, Any]]) -> str:
    """Markdown; efficiency is samples a second a process against one process alone."""
    first = rows[0]
    lines = ["| processes | ms an update | samples a second, ratio | efficiency |", "|" + " --- |" * 4]
    for r in rows:
        ratio = r["samples_per_second"] / first["samples_per_second"]
        ms = 1000 * statistics.median(r["seconds"])
        lines.append(f"| {r['name']} | {ms:.0f} | {ratio:.2f} | {ratio / r['processes']:.0%} |")
    megabytes = first["gradient_bytes"] / 1e6
    lines += ["", f"{megabytes:.1f} MB of gradients an update; batch {first['batch_size']} a process."]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write."""
    report(arguments(), measure, text)


if __name__ == "__main__":
    main()
