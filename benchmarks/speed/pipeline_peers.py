"""What whole predictions cost beyond the network: `predict`, nnU-Net's command, and a MONAI bundle in the form of the zoo's.

python -m benchmarks.speed.pipeline_peers --nnunet PYTHON --json peers.json

PYTHON is one that has nnunetv2; without it that row is left out. The images are those of `benchmarks.speed.pipeline`. Each
network is as small as it can be, with random weights: MONAI's UNet of two levels in the first and the last, nnU-Net's plain
network of two levels in its own. What is left is the start, reading, resampling, windows and writing. All take the same spacing
and window, steps of half a window, no mirroring, one thread and one process of each kind.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import UNet

from benchmarks.ending import ended
from benchmarks.speed.pipeline import AS_INSTALLED, PROGRAM, SETS, Images, make_images, make_model, measured
from benchmarks.speed.processor import processor, restart_with
from monai_hybrid.allocator import process_environment
from monai_hybrid.weights import read_card, save_weights

NNUNET_FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
FEATURES = (8, 16)  # of both peers


def ours(images: Images, folder: Path) -> list[str]:
    """`predict` with the UNet of the bundle beside it, in the place of the network that the card describes."""
    model, shape = make_model(images, folder / "ours"), _unet(images)
    save_weights(UNet(**shape).state_dict(), folder / "ours", read_card(model) or {})
    words = [str(folder / "images"), "--model", str(model), "--output", str(folder / "masks"), "--progress-bar", "False"]
    return [*PROGRAM, *words, "--network_def", json.dumps({"_target_": "monai.networks.nets.UNet", **shape})]


def _unet(images: Images) -> dict[str, Any]:
    dims = len(images.shape)
    shape = {"spatial_dims": dims, "in_channels": 1, "out_channels": 3, "channels": list(FEATURES), "strides": [2]}
    return {**shape, "norm": "batch"}


def bundle(images: Images, folder: Path) -> list[str]:
    """`monai.bundle run` of an inference as the zoo's bundles have it: MONAI's transforms, UNet, sliding window and saver."""
    dims, ending = len(images.shape), ".nii.gz" if len(images.shape) == 3 else ".png"
    shape = _unet(images)
    (folder / "bundle").mkdir()
    torch.save(UNet(**shape).state_dict(), folder / "bundle/model.pt")
    content = json.loads(INFERENCE)
    content |= {
        "spacing": [images.spacing] * dims, "window": [images.patch] * dims, "ending": ending,
        "dataset_dir": str(folder / "images"), "output_dir": str(folder / "masks"),
        "checkpoint": str(folder / "bundle/model.pt"),
    }  # fmt: skip
    content["network_def"] |= shape
    (folder / "bundle/inference.json").write_text(json.dumps(content), encoding="utf-8")
    return [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(folder / "bundle/inference.json")]


def nnunet(images: Images, folder: Path, python: Path) -> list[str]:
    """nnU-Net's command for a folder of a model; its files are called `p_0000`."""
    dims, model = len(images.shape), folder / "nnunet"
    written = [str(python), str(Path(__file__).with_name("nnunet_model.py")), str(model), str(dims), str(images.patch)]
    measured([*written, str(images.spacing), *map(str, FEATURES)], _environment())
    (folder / "named").mkdir()
    for file in sorted((folder / "images").iterdir()):
        stem, dot, ending = file.name.partition(".")
        (folder / "named" / f"{stem}_0000{dot}{ending}").symlink_to(file)
    words = ["-i", str(folder / "named"), "-o", str(folder / "masks"), "-m", str(model), "-f", "all", "--disable_tta"]
    command = [str(python.with_name("nnUNetv2_predict_from_modelfolder")), *words]
    return [*command, "-npp", "1", "-nps", "1", "-device", "cpu", "--disable_progress_bar"]


def run_set(images: Images, folder: Path, python: Path | None, repetitions: int) -> list[dict[str, Any]]:
    """A row for each program: the best of several runs by processor time.

    Raises:
        SystemExit: a program failed, or did not write a mask for each image.
    """
    make_images(images, folder / "images")
    commands = {"predict": ours(images, folder), "MONAI bundle": bundle(images, folder)}
    if python is not None:
        commands["nnU-Net"] = nnunet(images, folder, python)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(repetitions):
        for name, command in commands.items():
            runs[name].append(measured(command, _environment()))
            written = [file for file in (folder / "masks").rglob("*case_*") if file.is_file()]
            if len(written) != images.count:
                sys.exit(f"{name}: wrote {len(written)} masks of {images.count}: {' '.join(command)}")
            shutil.rmtree(folder / "masks")
    return [{"program": name, **min(own, key=lambda one: one["processor"]), "runs": own} for name, own in runs.items()]


def _environment() -> dict[str, str]:
    return {**os.environ, **process_environment(), **AS_INSTALLED, **dict.fromkeys(NNUNET_FOLDERS, os.devnull)}


def text(report: dict[str, Any]) -> str:
    """Markdown: a row a program, a column a set."""
    sets = report["sets"]
    heads = [f"{one['images']} of {' x '.join(map(str, one['shape']))}" for one in sets.values()]
    lines = ["| processor seconds, on the wall | " + " | ".join(heads) + " |", "| --- " * (1 + len(sets)) + "|"]
    for name in dict.fromkeys(row["program"] for one in sets.values() for row in one["rows"]):
        found = [next(row for row in one["rows"] if row["program"] == name) for one in sets.values()]
        lines.append(f"| {name} | " + " | ".join(f"{row['processor']:.1f}, {row['wall']:.1f}" for row in found) + " |")
    return "\n".join([*lines, "", report["machine"]])


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nnunet", type=Path, metavar="PYTHON", help="an interpreter that has nnunetv2")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write everything measured here")
    args = parser.parse_args(words)
    restart_with({} if os.environ.get("OMP_NUM_THREADS") == "1" else {"OMP_NUM_THREADS": "1"})
    report: dict[str, Any] = {"machine": processor(), "sets": {}}
    for name in args.sets:
        with tempfile.TemporaryDirectory() as folder:
            rows = run_set(SETS[name], Path(folder), args.nnunet, args.repetitions)
        report["sets"][name] = {"images": SETS[name].count, "shape": list(SETS[name].shape), "rows": rows}
    print(text(report))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


INFERENCE = """{
  "imports": ["$import glob", "$import numpy as np", "$import torch"],
  "device": "$torch.device('cpu')",
  "datalist": "$sorted(glob.glob(@dataset_dir + '/*' + @ending))",
  "network_def": {"_target_": "UNet"},
  "network": "$@network_def.to(@device)",
  "preprocessing": {"_target_": "Compose", "transforms": [
    {"_target_": "LoadImaged", "keys": "image"},
    {"_target_": "EnsureChannelFirstd", "keys": "image"},
    {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": null},
    {"_target_": "Spacingd", "keys": "image", "pixdim": "@spacing", "mode": "bilinear"},
    {"_target_": "ScaleIntensityd", "keys": "image"},
    {"_target_": "EnsureTyped", "keys": "image"}
  ]},
  "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
  "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "shuffle": false, "num_workers": 0},
  "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "@window", "sw_batch_size": 4, "overlap": 0.5,
    "mode": "gaussian"},
  "postprocessing": {"_target_": "Compose", "transforms": [
    {"_target_": "Activationsd", "keys": "pred", "softmax": true},
    {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image", "nearest_interp": false,
     "to_tensor": true},
    {"_target_": "AsDiscreted", "keys": "pred", "argmax": true},
    {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "output_ext": "@ending",
     "output_dtype": "$np.uint8", "separate_folder": false, "print_log": false}
  ]},
  "handlers": [
    {"_target_": "CheckpointLoader", "load_path": "@checkpoint", "load_dict": {"model": "@network"}, "map_location": "@device"}
  ],
  "evaluator": {"_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@dataloader", "network": "@network",
    "inferer": "@inferer", "postprocessing": "@postprocessing", "val_handlers": "@handlers"},
  "run": ["$@evaluator.run()"]
}"""


if __name__ == "__main__":
    sys.exit(ended(main))
