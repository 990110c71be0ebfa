"""SIGKILL trainings at random moments, again and again, each time going on with --resume True; compare the weights at the end.

    python -m benchmarks.reliability.kill_resume --points 20 --output_dir runs/kill_resume

A training is killed until it ends before the next kill; then another one begins, until there were enough kills.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.reliability.runs import digest, latest_update, prepared_phantom, start_training


def parts_begun(folder: Path) -> int:
    """How often training began in a folder: each time opens an event file of TensorBoard."""
    return len(list((folder / "logs").glob("events.out.tfevents*")))


def begin(folder: Path, settings: dict[str, Any]) -> subprocess.Popen[str]:
    """Start or go on, and return when training begins (or the process has ended)."""
    parts = parts_begun(folder)
    run = start_training(output_dir=folder, resume=True, **settings)
    while run.poll() is None and parts_begun(folder) == parts:
        time.sleep(0.01)
    return run


def end(run: subprocess.Popen[str]) -> None:
    """Wait for a run that must end well."""
    _, errors = run.communicate()
    if run.returncode:
        sys.exit(f"a run failed: {errors[-2000:]}")


def kill_until_done(folder: Path, settings: dict[str, Any], delays: list[float]) -> list[dict[str, Any]]:
    """Kill after each delay in turn while there are any, then let the run end; takes from `delays` what it used."""
    kills: list[dict[str, Any]] = []
    while delays:
        before, run = latest_update(folder), begin(folder, settings)
        try:
            run.communicate(timeout=delays[0])
            break  # ended before the kill; the delay is for the next run
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
            kill = {"run": folder.name, "from_update": max(before, 0), "delay_s": round(delays.pop(0), 3)}
            kills.append({**kill, "saved_update": latest_update(folder)})
    if not delays or run.returncode:
        end(begin(folder, settings))
    return kills


def main() -> None:
    """Run all kills, print a table, write kill_resume.json; exit code 1 if one run's weights differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--max_epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output_dir", type=Path, required=True)
    args = parser.parse_args()
    settings = {"dataset_dir": prepared_phantom(args.output_dir / "data"), "max_epochs": args.max_epochs}
    whole = begin(args.output_dir / "whole", settings)
    started = time.monotonic()
    end(whole)
    seconds = time.monotonic() - started
    expected = digest(args.output_dir / "whole/models/model.safetensors")
    draw = random.Random(args.seed)
    delays = [draw.uniform(0, 0.3 * seconds) for _ in range(args.points)]
    kills: list[dict[str, Any]] = []
    ends: dict[str, str] = {}
    while delays:
        folder = args.output_dir / f"run_{len(ends)}"
        kills += kill_until_done(folder, settings, delays)
        ends[folder.name] = digest(folder / "models/model.safetensors")
    print(
        "| run | went on from update | killed after s | saved by then | weights at its end |\n| --- | --- | --- | --- | --- |"
    )
    for k in kills:
        same = "the same" if ends[k["run"]] == expected else "DIFFERENT"
        print(f"| {k['run']} | {k['from_update']} | {k['delay_s']:.2f} | {k['saved_update']} | {same} |")
    equal = sum(sha == expected for sha in ends.values())
    print(f"\n{len(kills)} kills; {equal} of {len(ends)} runs end with the weights of the uninterrupted one ({expected})")
    record = {"expected_sha256": expected, "training_s": round(seconds, 1), "kills": kills, "ends": ends}
    (args.output_dir / "kill_resume.json").write_text(json.dumps(record, indent=1) + "\n")
    sys.exit(equal != len(ends))


if __name__ == "__main__":
    main()
