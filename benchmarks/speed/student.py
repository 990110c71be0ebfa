"""What a distilled segmenter costs and what it loses: Dice against milliseconds, beside the teacher.

python -m benchmarks.speed.student --data target --model runs/adapted/models/model.safetensors --output study --json study.json
python -m benchmarks.speed.student --data target --model hippocampus_mr --output study --parts time --isa avx2
python -m benchmarks.speed.student --data target --model hippocampus_mr --output study --parts labels --peers "MONAI UNet"

Each student is trained by `distil` and scored by `evaluate` on the test cases. Each peer learns from the labels alone:
supervised `pretrain` on the same data, as many updates, at the teacher's spacing and batch. Finished folders in `--output` are
taken as they are, so that a run goes on where it stopped. The time is that of one window, in turns with the stock form in the
same run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import monai_hybrid as mh
from benchmarks.ending import ended
from benchmarks.speed.measure import Action, Stopwatch, count_flops
from benchmarks.speed.networks import BUILDERS, SWIN, UNET, NotInstalled, Peer
from benchmarks.speed.processor import add_isa, isa_environment, processor, restart_with
from monai_hybrid.allocator import allocator_environment
from monai_hybrid.catalogue.naming import model_file
from monai_hybrid.distilling.student import student_network
from monai_hybrid.networks import HybridDiffusionUNet, fastest_dtype, folded
from monai_hybrid.networks.subpixel import FACTOR
from monai_hybrid.weights import read_card

WIDTHS = {"width 8": 8, "width 16": 16, "width 32": 32}
GRIDS = {"": "half", ", refined": "refined", ", full grid": "full"}
STUDENTS = {f"{name}{end}": (width, grid) for name, width in WIDTHS.items() for end, grid in GRIDS.items()}
PEERS = tuple(name for name in BUILDERS if name != SWIN)  # its windows need more voxels than a small patch has
PEER_DIVISOR = 16  # each peer halves four times
STOCK = "stock form (32, 64, 128, 128)"
OWN = "teacher, stock form"


def dice(args: argparse.Namespace, card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Dice of teacher and students on the test cases, and the paired difference with its interval over patients."""
    teacher, results = args.output / "teacher", []
    _scored(args, model_file(args.model), teacher, {})
    for name in args.students:
        folder = args.output / _folder(name)
        network = {} if name in STUDENTS else _peer(name, card)
        given = dict(zip(("student_width", "student_grid"), STUDENTS[name], strict=True)) if name in STUDENTS else {}
        more = {"optimizer#params": "$@network.parameters()"} if network else {}
        if not (folder / "models/model.safetensors").is_file():
            settings = {"updates": args.updates, "progress_bar": False, **given, **network, **more, **_extra(args)}
            mh.distil(args.data, args.model, folder, args.unlabelled_dir, **settings)
        _scored(args, str(folder / "models/model.safetensors"), folder / "eval", network)
        results.append({"student": name, **_against(teacher, folder / "eval")})
    return results


def labels(args: argparse.Namespace, card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Dice of other networks that learn from the labels alone, beside the teacher."""
    teacher, results, training = args.output / "teacher", [], card["training"]
    patch = [-(-edge // PEER_DIVISOR) * PEER_DIVISOR for edge in training["patch_size"]]
    same = {"patch_size": patch, "spacing": training["spacing"], "batch_size": training["batch_size"]}
    _scored(args, model_file(args.model), teacher, {})
    for name in args.peers:
        folder, network = args.output / f"labels_{_folder(name)}", _peer(name, card)
        if not (folder / "models/model.safetensors").is_file():
            more = {"optimizer#params": "$@network.parameters()", "starting_network": "$@network_def.to(@device)"}
            settings = {"objective": "supervised", "updates": args.updates, "picture_interval": 0, "progress_bar": False}
            mh.pretrain(args.data, folder, **settings, **same, **network, **more, **_extra(args))
        _scored(args, str(folder / "models/model.safetensors"), folder / "eval", network)
        results.append({"student": f"{name}, from labels", **_against(teacher, folder / "eval")})
    return results


def _folder(name: str) -> str:
    return name.replace(",", "").replace(" ", "_")


def _against(teacher: Path, folder: Path) -> dict[str, Any]:
    found = next(one for one in mh.compare(teacher, folder) if one.metric == "dice" and one.name == "all")
    return {
        "cases": found.n, "patients": found.patients, "teacher": found.mean_a, "dice": found.mean_b,
        "difference": found.difference, "interval": found.interval,
    }  # fmt: skip


def _extra(args: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, _, value in (word.partition("=") for word in args.set)}


def _peer(name: str, card: Mapping[str, Any]) -> dict[str, Any]:
    shape = {
        "spatial_dims": card["spatial_dims"],
        "in_channels": len(card["channels"]),
        "num_classes": len(card["labels"]),
    }
    return {"network_def": {"_target_": f"{Peer.__module__}.{Peer.__name__}", "name": name, **shape}}


def _scored(args: argparse.Namespace, model: str, folder: Path, network: Mapping[str, Any]) -> None:
    if not (folder / "summary.json").is_file():
        mh.evaluate(args.data, model, folder, save_slices=False, **network)


def times(args: argparse.Namespace, card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Milliseconds of one window, batch 1: stock forms, teacher and students, folded in float32 and where it pays bfloat16."""
    dims, shape = card["spatial_dims"], (len(card["channels"]), len(card["labels"]))
    levels = len(student_network(card["network"], 16)["channels"])
    divisor = max(FACTOR**levels, PEER_DIVISOR)
    patch = args.patch or [-(-edge // divisor) * divisor for edge in card["training"]["patch_size"]]
    x, actions = torch.randn(1, shape[0], *patch), {}
    own = {name: value for name, value in card["network"].items() if name not in ("spatial_dims", "in_channels", "num_classes")}
    stock = {"channels": (32, 64, 128, 128), "num_head_channels": 32}
    networks: dict[str, nn.Module] = {"teacher": HybridDiffusionUNet(dims, *shape, **own)}
    for name, (width, grid) in STUDENTS.items():
        networks[name] = HybridDiffusionUNet(dims, *shape, **student_network(card["network"], width, grid))
    for name, arguments in ((STOCK, stock), (OWN, own)):
        actions[name] = _forward(HybridDiffusionUNet(dims, *shape, merge_layers=False, **arguments).eval(), x)
    dtypes = ["float32"] + ["bfloat16"] * (fastest_dtype(torch.device("cpu")) == torch.bfloat16)
    for name, network in networks.items():
        for dtype in dtypes:
            actions[f"{name}, folded, {dtype}"] = _forward(folded(network.eval(), dtype), x)
    for name in PEERS:
        with suppress(NotInstalled):
            actions[name] = _forward(Peer(name, dims, *shape).eval(), x)
    timings = Stopwatch(torch.device("cpu"), args.repetitions, "process").interleaved(actions)
    return [
        {
            "network": name, "patch": list(patch), "milliseconds": 1000 * timing.seconds, "spread": timing.spread,
            "of_stock": timing.seconds / timings[STOCK].seconds, "of_teacher": timing.seconds / timings[OWN].seconds,
            "gflop": count_flops(actions[name]) / 1e9,
        }
        for name, timing in timings.items()
    ]  # fmt: skip


def _forward(network: nn.Module, x: Tensor) -> Action:
    return partial(_without_gradients, network, x)


@torch.no_grad()
def _without_gradients(network: nn.Module, x: Tensor) -> Any:
    return network(x)


def text(report: Mapping[str, Any]) -> str:
    """Markdown."""
    lines = [f"{name}: {value}" for name, value in report["machine"].items()]
    scored = [row for part in ("dice", "labels") for row in report.get(part, [])]
    if scored:
        lines += ["", "| student | cases | Dice | teacher | difference |", "| --- | --- | --- | --- | --- |"]
        for row in scored:
            low, high = row["interval"] or (float("nan"), float("nan"))
            difference = f"{row['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
            lines.append(f"| {row['student']} | {row['cases']} | {row['dice']:.4f} | {row['teacher']:.4f} | {difference} |")
    if "time" in report:
        head = ["network", "ms", "of the stock form", "of the teacher's stock form", "GFLOP", "spread"]
        lines += ["", f"| {' | '.join(head)} |", "| --- | --- | --- | --- | --- | --- |"]
        for row in report["time"]:
            ratios = f"{row['of_stock']:.3f} | {row['of_teacher']:.3f}"
            lines.append(
                f"| {row['network']} | {row['milliseconds']:.1f} | {ratios} | {row['gflop']:.2f} | {row['spread']:.0%} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="prepared data set, with test cases")
    parser.add_argument("--model", required=True, help="the teacher")
    parser.add_argument("--output", type=Path, required=True, help="folder for students and scores")
    parser.add_argument("--parts", nargs="+", choices=("dice", "labels", "time"), default=("dice", "time"))
    parser.add_argument("--students", nargs="+", choices=(*STUDENTS, UNET), default=["width 16"])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=[UNET], help="of the part labels")
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--unlabelled_dir", help="images without labels to learn from as well")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="further settings of `distil`")
    parser.add_argument("--patch", type=int, nargs="+", help="voxels of the window that is timed; default: the teacher's")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write everything measured here")
    add_isa(parser)
    args = parser.parse_args()
    restart_with({**isa_environment(args.isa), **allocator_environment()})
    os.environ["OMP_NUM_THREADS"] = str(args.threads)  # of the trainings
    torch.set_num_threads(args.threads)
    card = read_card(model_file(args.model))
    assert card is not None
    report: dict[str, Any] = {
        "machine": {"device": processor(), "threads": args.threads, "torch": torch.__version__, "clock": "process"},
        "model": args.model,
        "updates": args.updates,
    }
    parts = {"dice": dice, "labels": labels, "time": times}
    report |= {part: parts[part](args, card) for part in args.parts}
    print(text(report))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(ended(main))
