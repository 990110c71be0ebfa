"""SIGKILL a process that does nothing but save, 200 times; afterwards every file under a final name must be whole.

    python -m benchmarks.reliability.torn_files --kills 200 --output_dir runs/torn_files

For comparison, the same with a plain torch.save to the final name, which is what MONAI's CheckpointSaver does (atomic=False).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from monai_hybrid.errors import HybridError
from monai_hybrid.runs.checkpoint import checkpoints, save_checkpoint
from monai_hybrid.weights import load_weights, save_weights

MEGABYTES = 8


def state(update: int) -> dict[str, Any]:
    """A checkpoint whose every number is the update, so that a mixture of two would be seen."""
    return {"update": update, "weights": torch.full((MEGABYTES << 18,), float(update))}


def save_ours(folder: Path, update: int) -> None:
    """A checkpoint and both model files, as a training writes them."""
    save_checkpoint(state(update), folder / "checkpoints")
    save_weights({"weights": state(update)["weights"]}, folder / "models", {"update": update})


def save_plainly(folder: Path, update: int) -> None:
    """torch.save to the final name."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state(update), folder / "checkpoint.pt")


def torn(folder: Path) -> list[str]:
    """Files under a final name that cannot be read or hold numbers of two saves."""
    bad = []
    for path in [*checkpoints(folder / "checkpoints"), *folder.glob("models/model.*"), *folder.glob("checkpoint.pt")]:
        try:
            weights = load_weights(path)["weights"]
        except HybridError:
            bad.append(path.name)
            continue
        if bool((weights != weights[0]).any()):
            bad.append(path.name)
    return bad


def killed_while_saving(save: Callable[[Path, int], None], folder: Path, first: int, delay: float) -> None:
    """Fork a process that saves without pause, and kill it after `delay` seconds."""
    child = os.fork()
    if child == 0:
        try:
            for update in range(first, first + 1000):
                save(folder, update)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    time.sleep(delay)
    os.kill(child, 9)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        sys.exit("the saving process ended by itself; see its message above")


def measure(save: Callable[[Path, int], None], folder: Path, kills: int, draw: random.Random) -> dict[str, Any]:
    """How many kills left a torn file, and in how many a save was under way (a temporary file was there)."""
    torch.set_num_threads(1)  # threads do not survive a fork
    save(folder, 0)
    started = time.monotonic()
    save(folder, 1)
    once = time.monotonic() - started
    kills_with_torn, under_way = 0, 0
    for i in range(kills):
        killed_while_saving(save, folder, 1000 * (i + 1), draw.uniform(0.2, 2.2) * once)
        kills_with_torn += bool(torn(folder))
        leftovers = list(folder.rglob(".*.tmp"))
        under_way += bool(leftovers)
        for leftover in leftovers:
            leftover.unlink()
    return {"kills": kills, "kills_that_left_a_torn_file": kills_with_torn, "kills_within_a_save": under_way}


def main() -> None:
    """Measure both, print a table, write torn_files.json; exit code 1 if one of our files was torn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output_dir", type=Path, required=True)
    args = parser.parse_args()
    ours = measure(save_ours, args.output_dir / "ours", args.kills, random.Random(args.seed))
    plain = measure(save_plainly, args.output_dir / "plain", args.kills, random.Random(args.seed))
    print("| saved by | kills | kills that left a torn file |\n| --- | --- | --- |")
    for name, row in (("monai_hybrid", ours), ("torch.save to the final name", plain)):
        print(f"| {name} | {row['kills']} | {row['kills_that_left_a_torn_file']} |")
    print(f"\n{ours['kills_within_a_save']} of our {ours['kills']} kills left a temporary file, so they hit a write")
    (args.output_dir / "torn_files.json").write_text(json.dumps({"monai_hybrid": ours, "plain": plain}, indent=1) + "\n")
    sys.exit(ours["kills_that_left_a_torn_file"] > 0)


if __name__ == "__main__":
    main()
