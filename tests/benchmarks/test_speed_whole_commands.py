"""What whole commands cost: each program does its work, and a failure is no time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.speed import pipeline_peers, preparing
from benchmarks.speed.pipeline import Images


@pytest.mark.long
@pytest.mark.parametrize("shape", [(20, 20, 16), (40, 40)])
def test_predict_and_a_bundle_write_a_mask_for_each_image(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Both forms of images; nnU-Net is left out where no interpreter with it is named."""
    rows = pipeline_peers.run_set(Images(2, shape, 1.25, 16), tmp_path, None, 1)
    assert [row["program"] for row in rows] == ["predict", "MONAI bundle"]
    assert all(row["processor"] > 0 for row in rows)
    assert not (tmp_path / "masks").exists(), "the next program starts anew"


def test_a_program_that_writes_too_little_has_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ends without its masks is an error, not the fastest of all."""
    monkeypatch.setattr(pipeline_peers, "measured", lambda *_: {"wall": 1.0, "processor": 1.0})
    with pytest.raises(SystemExit, match="predict: wrote 0 masks of 2"):
        pipeline_peers.run_set(Images(2, (20, 20, 16), 1.25, 16), tmp_path, None, 1)


@pytest.mark.long
def test_check_and_build_are_measured_on_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each command and number of processes, in the table and in the file."""
    preparing.main(["--sets", "pictures", "--cases", "6", "--jobs", "1", "2", "--json", str(tmp_path / "rows.json")])
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [(row["command"], row["jobs"]) for row in rows] == [("check", 1), ("build", 1), ("check", 2), ("build", 2)]
    assert all(row["files"] == 12 and 20 < row["megabytes"] < 2000 and row["processor"] > 0 for row in rows)
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| pictures")]
    assert len(table) == 4


def test_a_command_that_fails_has_no_time(tmp_path: Path) -> None:
    """Its last words are shown."""
    with pytest.raises(SystemExit, match="exit code 3"):
        preparing.timed(["check", str(tmp_path / "nothing")])
