"""A training of a few seconds, started as a user starts it, and the digest of what it leaves."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.weights import load_weights

ROOT = Path(__file__).parents[2]
TINY: dict[str, Any] = {
    "batch_size": 2,
    "updates_per_epoch": 6,
    "max_epochs": 4,
    "patch_size": "[16,16,16]",
    "spacing": "[4,4,4]",
    "warmup_updates": 4,
    "ema_decay": 0.5,
    "val_interval": 2,
    "picture_interval": 0,
    "progress_bar": False,
}


def prepared_phantom(folder: Path) -> Path:
    """Twelve volumes of the built-in scanner A, described."""
    generate(folder / "raw", cases=12, site="A", seed=0)
    build(folder / "raw", folder / "prepared", budget="cpu")
    return folder / "prepared"


def start_training(bundle: str = "hybrid_pretrain", **settings: Any) -> subprocess.Popen[str]:
    """`python -m monai.bundle run` of a bundle's train.json with one thread; stdout and stderr are kept apart."""
    words = [word for name, value in {**TINY, **settings}.items() for word in (f"--{name}", str(value))]
    config = f"bundles/{bundle}/configs/train.json"
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", "--config_file", config, *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)


def latest_update(output_dir: Path) -> int:
    """Updates done in the newest checkpoint of a run; -1 when there is none."""
    return max((int(path.stem.split("_")[1]) for path in (output_dir / "checkpoints").glob("update_*.pt")), default=-1)


def digest(model: Path) -> str:
    """SHA-256 over names, types and values of all tensors of a model file."""
    sha = hashlib.sha256()
    for name, tensor in sorted(load_weights(model).items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode() + tensor.numpy().tobytes())
    return sha.hexdigest()
