"""A run of the pretraining bundle, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

CONFIGS = Path("bundles/hybrid_pretrain/configs")


def run_bundle(config: str, **settings: Any) -> None:
    """`python -m monai.bundle run` with these settings, from the root of the repository.

    Raises:
        CalledProcessError: the run failed, so that the study stops.
    """
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(CONFIGS / config)]
    command += [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    print("$", " ".join(command[1:]), flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
