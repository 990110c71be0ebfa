"""Scaling over processes: the arithmetic of the table, and that a failed training is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.speed.scaling import collect, row, text
from monai_hybrid.errors import EnvironmentFault


def seen(*seconds: float) -> dict[str, object]:
    return {"seconds": list(seconds), "gradient_bytes": 2_000_000, "batch_size": 4}


def test_efficiency_counts_the_samples_of_all_processes() -> None:
    one = row("one", 1, [seen(1.0, 1.0, 9.0)])
    two = row("two", 2, [seen(1.25, 1.25), seen(1.25, 7.0)])
    assert one["samples_per_second"] == 4 and two["samples_per_second"] == pytest.approx(2 * 4 / 1.25)
    table = text([one, two])
    assert "| two | 1250 | 1.60 | 80% |" in table and "2.0 MB of gradients an update; batch 4 a process" in table


def test_a_training_that_fails_is_said_and_one_that_ends_is_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\nno such folder\n")
    with pytest.raises(EnvironmentFault, match="exit code 3: no such folder"):
        collect(subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], text=True), tmp_path)
    (tmp_path / "rank_0.json").write_text('{"seconds": [1.0]}')
    assert collect(subprocess.Popen([sys.executable, "-c", ""], text=True), tmp_path) == [{"seconds": [1.0]}]
