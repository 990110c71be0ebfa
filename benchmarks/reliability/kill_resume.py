"""SIGKILL a training at random moments, go on with --resume True, compare the final weights with the uninterrupted run's.

    python -m benchmarks.reliability.kill_resume --points 20 --output_dir runs/kill_resume
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.reliability.runs import digest, latest_update, prepared_phantom, start_training, wait_for_updates


def uninterrupted(folder: Path, dataset_dir: Path) -> tuple[str, float]:
    """Digest of the final weights, and the seconds from the first checkpoint to the end."""
    run = start_training(dataset_dir=dataset_dir, output_dir=folder)
    wait_for_updates(run, folder)
    started = time.monotonic()
    _, errors = run.communicate()
    if run.returncode:
        sys.exit(f"the uninterrupted run failed: {errors[-2000:]}")
    return digest(folder / "models/model.safetensors"), time.monotonic() - started


def killed_and_resumed(folder: Path, dataset_dir: Path, delay: float) -> dict[str, Any]:
    """One kill, `delay` seconds after training began, and the run that goes on."""
    run = start_training(dataset_dir=dataset_dir, output_dir=folder)
    wait_for_updates(run, folder)
    time.sleep(delay)
    run.kill()
    run.communicate()
    saved = latest_update(folder)
    again = start_training(dataset_dir=dataset_dir, output_dir=folder, resume=True)
    _, errors = again.communicate()
    if again.returncode:
        sys.exit(f"going on failed after a kill at {delay:.2f} s: {errors[-2000:]}")
    history = (folder / "logs/history.jsonl").read_text().splitlines()
    return {
        "delay_s": round(delay, 3),
        "killed": run.returncode == -9,
        "resumed_from_update": saved,
        "history_epochs": [json.loads(line)["epoch"] for line in history],
        "sha256": digest(folder / "models/model.safetensors"),
    }


def main() -> None:
    """Run all points, print a table, write kill_resume.json; exit code 1 if one run differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output_dir", type=Path, required=True)
    args = parser.parse_args()
    data = prepared_phantom(args.output_dir / "data")
    expected, seconds = uninterrupted(args.output_dir / "whole", data)
    print(f"uninterrupted: {expected}, {seconds:.1f} s of training\n\n| killed after s | went on from update | same weights |")
    print("| --- | --- | --- |", flush=True)
    points, draw = [], random.Random(args.seed)
    for i in range(args.points):
        point = killed_and_resumed(args.output_dir / f"point_{i:02d}", data, draw.uniform(0, 0.95 * seconds))
        point["same"] = point["sha256"] == expected
        points.append(point)
        note = "" if point["killed"] else " (had ended)"
        print(f"| {point['delay_s']:.2f}{note} | {point['resumed_from_update']} | {point['same']} |", flush=True)
    killed, same = sum(p["killed"] for p in points), sum(p["same"] for p in points)
    print(f"\n{same} of {len(points)} equal to the uninterrupted run, bit for bit; {killed} were killed while training")
    record = {"expected_sha256": expected, "training_s": seconds, "points": points, "equal": same, "killed": killed}
    (args.output_dir / "kill_resume.json").write_text(json.dumps(record, indent=1) + "\n")
    sys.exit(same != len(points))


if __name__ == "__main__":
    main()
