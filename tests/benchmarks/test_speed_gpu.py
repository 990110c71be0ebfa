"""The measurements of a GPU, on a processor in tiny sizes: that they run, and how the command ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.ending import ended
from benchmarks.speed import gpu, gpu_parts


def test_training_has_a_row_a_form_with_its_share_of_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_parts, "convolution_peak", lambda *_, **__: 5e10)
    found = gpu_parts.training(gpu_parts.dry())
    names = ["float32, TF32 convolutions", "mixed precision", "mixed precision, channels last"]
    assert [(row["patch"], row["name"]) for row in found["rows"]] == [(16, name) for name in names]
    for row in found["rows"]:
        assert row["mfu"] is None  # of no card with a data sheet
        assert row["of_convolution_peak"] == pytest.approx(row["tflop"] * 1e12 / row["seconds"] / found["convolution_peak"])
        assert 0 < row["gigabytes"] < 1


def test_two_trainings_from_one_seed_are_equal_on_a_processor() -> None:
    rows = gpu_parts.determinism(gpu_parts.dry())["rows"]
    assert [(row["deterministic_algorithms"], row["equal"], row["largest_difference"]) for row in rows] == [
        (False, True, 0.0),
        (True, True, 0.0),
    ]
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_plan_of_a_card_is_that_of_the_budget() -> None:
    plan = gpu_parts.full()
    assert plan.edges == (96, 128) and plan.network["channels"] == [32, 64, 128, 256] and len(plan.forms) == 5


def test_parts_go_on_until_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, float]] = []
    kept: list[list[str]] = []

    def one(part: str, seconds: float) -> dict[str, Any]:
        asked.append((part, seconds))
        now[0] += 200
        return {"rows": []}

    now = [0.0]
    monkeypatch.setattr(gpu.time, "monotonic", lambda: now[0])
    report = gpu.all_parts(["training", "nccl", "volume"], 5, one, lambda so_far: kept.append(list(so_far)))
    assert asked == [("training", 108.0), ("nccl", 48.0)]
    assert report["volume"] == {"left_out": "the 5 minutes were over"}
    assert kept == [["training"], ["training", "nccl"], ["training", "nccl", "volume"]]


@pytest.mark.parametrize(("script", "expected"), [
    ("import sys; sys.exit('RuntimeError: out of memory')", {"error": "exit code 1: RuntimeError: out of memory"}),
    ("import time; time.sleep(60)", {"left_out": "not done after 0.0 minutes"}),
    ("import sys; open(sys.argv[6], 'w').write('{}')", {}),
], ids=["fails", "late", "done"])  # fmt: skip
def test_a_part_that_fails_or_is_late_leaves_its_sentence(
    script: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = subprocess.Popen
    monkeypatch.setattr(
        gpu.subprocess, "Popen", lambda command, **more: started([sys.executable, "-c", script, *command[1:]], **more)
    )
    assert gpu.in_a_process("volume", 1.0 if "sleep" in script else 60.0, False) == expected


def test_without_a_card_it_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([str(tmp_path / "gpu.json")]) == 5
    assert "error: no GPU: PyTorch sees none here" in capsys.readouterr().err and not (tmp_path / "gpu.json").exists()


@pytest.mark.parametrize("minutes", ["-1", "0", "nan", "inf", "soon"])
def test_a_time_in_which_nothing_can_be_measured_is_refused(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        gpu.main(["gpu.json", "--minutes", minutes])
    assert left.value.code == 2 and f"--minutes: got '{minutes}', expected a number > 0" in capsys.readouterr().err
    assert gpu.minutes_of("0.5") == 0.5


def test_an_output_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "in_a_process", lambda *_: pytest.fail("measured"))
    (tmp_path / "file").touch()
    for output in (tmp_path, tmp_path / "file/gpu.json"):
        assert gpu.main([str(output), "--dry"]) == 5
        said = capsys.readouterr().err
        assert said.startswith(f"error: {tmp_path}") and ": the system says: " in said and len(said.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file"]


def test_without_torch_it_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert gpu.main([str(tmp_path / "gpu.json"), "--dry"]) == 5
    assert f"error: {sys.executable} has no package torch; type: " in capsys.readouterr().err


def test_ctrl_c_ends_the_part_that_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    started: list[subprocess.Popen[str]] = []

    class Part(subprocess.Popen[str]):
        def __init__(self, command: list[str], **more: Any) -> None:
            super().__init__(["sleep", "60"], **more)
            started.append(self)

        def communicate(self, *words: Any, timeout: float | None = None) -> Any:
            if timeout is not None:
                raise KeyboardInterrupt
            return super().communicate(*words)

    monkeypatch.setattr(gpu.subprocess, "Popen", Part)
    with pytest.raises(SystemExit) as left:
        ended(lambda: gpu.in_a_process("volume", 60.0, False))
    assert left.value.code == 130 and "stopped by SIGINT" in capsys.readouterr().err
    assert started[0].returncode == -signal.SIGKILL


def test_a_dry_run_says_so_and_writes_after_each_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "in_a_process", lambda part, seconds, dry: {"error": "no"} if part == "nccl" else {"rows": []})
    assert gpu.main([str(tmp_path / "new/gpu.json"), "--dry"]) == 0
    written = json.loads((tmp_path / "new/gpu.json").read_text())
    assert written["machine"]["dry"] is True and list(written)[1:] == list(gpu.LIMITS) == list(gpu_parts.PARTS)
    assert "training: done" in capsys.readouterr().out


@pytest.mark.slow
def test_the_script_runs_whole(tmp_path: Path) -> None:
    script = Path(gpu.__file__).parent / "gpu.sh"
    command = ["bash", script, tmp_path / "gpu.json", "--dry", "--minutes", "100"]
    subprocess.run(command, check=True, timeout=1800, env={**os.environ, "PYTHON": sys.executable})
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert all(written[part].get("rows") for part in gpu.LIMITS), written
