"""What the training's data cost: one row's process, and the table."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from warm import run_in_place

from benchmarks.speed.data_side import _process, text
from benchmarks.speed.training import QUIET
from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.errors import EnvironmentFault


def test_a_row_draws_the_samples_of_the_training_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", run_in_place)
    generate(tmp_path / "raw", cases=6, site="A", seed=0)
    build(tmp_path / "raw", tmp_path / "prepared", budget="cpu")
    settings = {**QUIET, "dataset_dir": str(tmp_path / "prepared"), "output_dir": str(tmp_path / "out"), "spacing": [4, 4, 4],
                "patch_size": [16, 16, 16], "cache_dir": str(tmp_path / "volumes")}  # fmt: skip
    told = _process(settings, samples=3)
    assert told["seconds_a_sample"] > 0 and told["cases"] == len(list((tmp_path / "volumes").iterdir())) > 1
    with pytest.raises(EnvironmentFault, match=r"a process ended with exit code [0-9]+: .*no such folder"):
        _process({**settings, "dataset_dir": str(tmp_path / "none")}, samples=3)


def test_the_table_says_what_is_not_known() -> None:
    row = {"name": "in memory", "start_seconds": 2.0, "seconds_a_sample": 0.0304, "cases": 5}
    known = {**row, "own_mb": 660, "file_mb": 12}
    lines = text([known, row]).splitlines()
    assert lines[2:4] == [
        "| in memory | 2.00 | 30.4 | 660 | 12 |",
        "| in memory | 2.00 | 30.4 | not known | not known |",
    ]
    assert lines[-1] == "5 training volumes."
