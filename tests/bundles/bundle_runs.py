"""Run bundles as a user does: `python -m monai.bundle run` in a process of its own, on tiny data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "bundles/hybrid_pretrain"
TINY = {
    "max_epochs": 1,
    "updates_per_epoch": 2,
    "batch_size": 2,
    "patch_size": "[16,16,16]",
    "spacing": "[4,4,4]",
    "progress_bar": False,
}


def run_bundle(config: str | Path, cwd: Path = ROOT, *before: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """`python -m monai.bundle run --config_file ...` with one thread; stdout and stderr are kept."""
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-W", "ignore", *before, "-m", "monai.bundle", "run", "--config_file", str(config), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)
