"""Run bundles as a user does: `python -m monai.bundle run` in a process of its own, on tiny data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from warm import run_module

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "bundles/hybrid_pretrain"
TINY = {
    "max_epochs": 1,
    "updates_per_epoch": 2,
    "batch_size": 2,
    "patch_size": "[16,16,16]",
    "spacing": "[4,4,4]",
    "progress_bar": False,
    "picture_interval": 0,  # as long as all the rest
}


def run_bundle(config: str | Path, cwd: Path = ROOT, *before: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """`python -m monai.bundle run --config_file ...` with one thread; stdout and stderr are kept.

    With words before `-m monai.bundle`, such as a launcher, Python is started anew; else see `warm.py`.
    """
    words = ["run", "--config_file", str(config), *_words(settings)]
    if not before:
        return run_module("monai.bundle", words, cwd, environment())
    command = [sys.executable, "-W", "ignore", *before, "-m", "monai.bundle", *words]
    return subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=600, check=False)


def environment() -> dict[str, str]:
    """Of a run: one thread, and this checkout's code."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}


def _words(settings: dict[str, object]) -> list[str]:
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]
