"""The commands of the tutorials, taken from their pages and typed in an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/tutorials/first_adaptation.md"


def commands() -> list[str]:
    """Lines of the page's bash blocks, in order."""
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_tutorial_goes_from_files_to_masks() -> None:
    names = [line.split()[1] for line in commands()]
    assert names == [
        "phantom",
        "phantom",
        "check",
        "build",
        "build",
        "pretrain",
        "evaluate",
        "adapt",
        "evaluate",
        "compare",
        "predict",
    ]
    assert all(line.startswith("monai-hybrid ") for line in commands())


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_tutorial_ends_with_masks_and_a_better_model(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/monai-hybrid"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m monai_hybrid.cli "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    place = tmp_path / "here"
    place.mkdir()
    script = "\n".join(["set -e", *commands()])
    done = subprocess.run(["bash", "-c", script], cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    dice = [
        json.loads((place / f / "summary.json").read_text())["dice"]["all"]["mean"]
        for f in ("runs/before", "runs/adapted/eval")
    ]
    assert dice[1] > dice[0] + 0.1
    assert len(list((place / "masks").glob("*_seg.*"))) == 30
    assert (place / "runs/adapted/report.html").is_file()
