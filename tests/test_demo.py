"""`make demo`: every step runs, and the numbers are those of a network that has learnt something."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_demo_learns_to_segment_scanner_a(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "monai_hybrid.demo", "--output_dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    scores = json.loads((tmp_path / "evaluation/summary.json").read_text())["dice"]
    assert scores["all"]["mean"] > 0.6
    for file in ("samples/contact_sheet.png", "prediction.png", "logs/pictures.png", "models/model.safetensors"):
        assert (tmp_path / file).is_file()


def test_outside_the_repository_the_demo_says_where_to_run_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv.pop()); import runpy; "]
    command[-1] += "runpy.run_module('monai_hybrid.demo', run_name='__main__')"
    done = subprocess.run([*command, str(ROOT)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 5 and "run it from the root of the repository" in done.stderr
    assert "Traceback" not in done.stderr
