"""Memory and time of the sliding windows beyond the network: ours, MONAI's SlidingWindowInferer, nnU-Net's predictor.

    python -m benchmarks.speed.sliding_window [--shape 256 256 128] [--patch 64] [--classes 3 15 100] [--json FILE]

Each arm runs in a process of its own, one thread. Memory: peak resident size during the run, above the peak after one call of
the network on one batch of windows with the image loaded. Time: processor time (other people's work disturbs it less) of the
run less that inside the network, which is a stub that multiplies its input by K numbers; the best of --repetitions. `share`
sets that against one window of a network of --channels (the CPU plan's by default), folded, in bfloat16 where possible.
All end with labels: MONAI's arms take torch.max over their K x volume result (generous: no softmax, no Invertd, no entropy),
`buffered` with buffer_steps=1, `adapt` as SlidingWindowInfererAdapt, `chain` with softmax and Invertd as a bundle's
post-processing has them; nnU-Net's (where nnunetv2 is installed) is its own arg max of logits summed in half precision,
without mirroring.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer, SlidingWindowInfererAdapt
from monai.transforms import Orientation
from torch import Tensor, nn

from benchmarks.ending import ended
from benchmarks.speed.nnunet_predictor import make_predictor, nnunet_labels
from monai_hybrid.inferers import InputGridInferer
from monai_hybrid.networks import HybridDiffusionUNet, folded

ARMS = ("ours", "monai", "buffered", "adapt", "chain", "nnunet")


class Stub(nn.Module):
    """Logits at next to no cost; keeps the time it took."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.scale = torch.randn(1, num_classes, 1, 1, 1)
        self.seconds, self.windows = 0.0, 0

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, ...) -> (B, K, ...)."""
        started = time.process_time()
        y = x * self.scale
        self.seconds += time.process_time() - started
        self.windows += len(x)
        return y


def peak_mb() -> float:
    """Largest resident size of this process so far, MB (10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure(arm: str, num_classes: int, shape: list[int], patch: int, sw_batch_size: int) -> dict[str, Any]:
    """One arm in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, roi, network = torch.randn(1, 1, *shape), [patch] * 3, Stub(num_classes)
    with torch.no_grad():
        network(x[:, :, :patch, :patch, :patch].expand(sw_batch_size, -1, -1, -1, -1).contiguous())
        predictor = make_predictor(network, roi, num_classes, torch.device("cpu")) if arm == "nnunet" else None
        network.seconds, network.windows, before = 0.0, 0, peak_mb()
        started = time.process_time()
        if arm == "ours":
            InputGridInferer(roi, sw_batch_size, 0.5)(x, network)
        elif predictor:
            nnunet_labels(predictor, x)
        else:
            monai_labels(arm, roi, sw_batch_size, x, network)
        beyond = time.process_time() - started - network.seconds
    return {
        "arm": arm,
        "classes": num_classes,
        "windows": network.windows,
        "memory_mb": peak_mb() - before,
        "seconds": beyond,
        "ms_per_window": 1000 * beyond / network.windows,
    }


def monai_labels(arm: str, roi: list[int], sw_batch_size: int, x: Tensor, network: Stub) -> Tensor:
    """Labels (X, Y, Z), uint8, by MONAI's own parts."""
    kind = SlidingWindowInfererAdapt if arm == "adapt" else SlidingWindowInferer
    buffer = {"buffer_steps": 1} if arm == "buffered" else {}
    inferer = kind(roi, sw_batch_size, 0.5, mode="gaussian", padding_mode="replicate", **buffer)
    if arm != "chain":
        return inferer(x, network)[0].max(0)[1].to(torch.uint8)
    turn = Orientation("RAS", labels=None)
    turned = turn(MetaTensor(x[0], affine=torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))))
    probabilities = MetaTensor(inferer(turned[None].as_tensor(), network)[0].softmax(0), meta=turned.meta)
    probabilities.applied_operations = turned.applied_operations
    return turn.inverse(probabilities).argmax(0).to(torch.uint8)


def network_seconds(patch: int, channels: Sequence[int]) -> float:
    """One window through a folded network, the best of three."""
    torch.set_num_threads(1)
    network = folded(HybridDiffusionUNet(3, 1, 4, channels=tuple(channels), num_head_channels=32).eval(), "auto")
    x, times = torch.randn(1, 1, patch, patch, patch), []
    with torch.inference_mode():
        for _ in range(3):
            started = time.process_time()
            network(x)
            times.append(time.process_time() - started)
    return min(times)


def apart(words: list[str]) -> dict[str, Any]:
    """Run this file for one arm in a fresh process; what it prints last is JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.speed.sliding_window", *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    """Print the table; with --json write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=[256, 256, 128])
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--classes", type=int, nargs="+", default=[3, 15, 100])
    parser.add_argument("--sw_batch_size", type=int, default=1)
    parser.add_argument("--channels", type=int, nargs="+", default=[16, 32, 64], help="of the network that sets the share")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arm:
        print(json.dumps(measure(given.arm, given.classes[0], given.shape, given.patch, given.sw_batch_size)))
        return
    shared = ["--shape", *map(str, given.shape), "--patch", str(given.patch), "--sw_batch_size", str(given.sw_batch_size)]
    rows = []
    arms = [arm for arm in ARMS if arm != "nnunet" or find_spec("nnunetv2")]
    for k in given.classes:
        turns = [[apart(["--arm", arm, "--classes", str(k), *shared]) for arm in arms] for _ in range(given.repetitions)]
        rows += [min(runs, key=lambda run: run["seconds"]) for runs in zip(*turns, strict=True)]
    one = network_seconds(given.patch, given.channels)
    print(f"volume {given.shape}, window {given.patch}^3, overlap 0.5; folded network {given.channels}: {one:.2f} s a window\n")
    print(f"{'arm':8} {'K':>4} {'windows':>8} {'memory MB':>10} {'ms a window':>12} {'share':>7}")
    for row in rows:
        row["share_of_network"] = row["ms_per_window"] / 1000 / one
        print(
            f"{row['arm']:8} {row['classes']:4d} {row['windows']:8d} {row['memory_mb']:10.0f} {row['ms_per_window']:12.2f} "
            f"{row['share_of_network']:7.2%}"
        )
    if given.json:
        about = {key: getattr(given, key) for key in ("shape", "patch", "channels")}
        about |= {"network_seconds": one, "torch": torch.__version__, "rows": rows}
        given.json.write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(ended(main))
