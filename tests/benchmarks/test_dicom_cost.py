"""The command that measures `check` of DICOM writes series that `check` takes, and says what they cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pydicom")

from benchmarks.dicom import main


def test_a_small_folder_is_measured_and_removed(tmp_path: Path) -> None:
    said: list[object] = []
    words = ["--files", "7", "--slices", "4", "--size", "16", "--folder", str(tmp_path), "--out", str(tmp_path / "out.json")]
    assert main(words, said.append) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["files"] == 7 and result["series"] == 2 and result["exit_code"] == 0
    assert 0 < result["seconds"] < 60 and 0 < result["memory_mb"] < 500 and "| 7 | 2 | 16 x 16 |" in str(said[-1])
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]
