"""Kills, signals, two at once, a read-only folder, little memory, a file that goes: the quick ones, on the light commands."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from pathlib import Path

import pytest

from benchmarks.reliability import disturbances as d
from benchmarks.reliability import whole
from benchmarks.reliability.commands import Base, Command, commands
from data_prep.build import build
from data_prep.phantom import generate


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    made = Base(tmp_path_factory.mktemp("base"))
    generate(made.raw, cases=4, site="A", seed=0, dims=2)
    build(made.raw, made.prepared, budget="cpu")
    return made


def command(base: Base, name: str) -> Command:
    return next(command for command in commands(base) if command.name == name)


@pytest.fixture(scope="module", params=["build", "repair"])
def trial(request: pytest.FixtureRequest, base: Base) -> d.Trial:
    return d.undisturbed(command(base, request.param), base.folder / "undisturbed" / request.param)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_leaves_nothing_half_written(trial: d.Trial, number: int, tmp_path: Path) -> None:
    delay = random.Random(0).uniform(0.5, 0.9) * trial.seconds
    assert d.signalled(trial, number, delay, tmp_path / "out").wrong == ""


def test_a_read_only_output_is_refused(trial: d.Trial, tmp_path: Path) -> None:
    outcome = d.read_only(trial, tmp_path / "out")
    assert (outcome.wrong, outcome.exit_code) == ("", 5) and "cannot be written: Permission denied" in outcome.said


def test_without_memory_there_is_a_sentence(trial: d.Trial, tmp_path: Path) -> None:
    outcome = d.little_memory(trial, 0, tmp_path / "out")
    assert (outcome.wrong, outcome.exit_code) == ("", 5) and "not enough memory" in outcome.said


@pytest.mark.slow
def test_two_at_once_and_an_image_that_goes(trial: d.Trial, base: Base, tmp_path: Path) -> None:
    assert d.two_at_once(trial, tmp_path / "two").wrong == ""
    assert d.image_goes(trial, base, tmp_path / "goes").wrong == ""


@pytest.mark.slow
def test_predict_adapt_and_report_too(tmp_path: Path) -> None:
    """All but tracebacks where Ctrl-C meets imports, or memory ends: known gaps, told in docs/results/notes/reliability.md."""
    d.main(["--points", "1", "--only", "predict", "adapt", "report", "--output_dir", str(tmp_path)])
    runs = json.loads((tmp_path / "disturbances.json").read_text())["runs"]
    wrong = [run for run in runs if run["wrong"]]
    allowed = [run for run in wrong if run["disturbance"] == "SIGINT" or "more than the imports" in run["disturbance"]]
    assert wrong == allowed and all(run["wrong"] in ("a traceback", "exit code 1; a traceback") for run in wrong), wrong
    assert {run["command"] for run in runs} == {"predict", "adapt", "report"}


def test_a_wrong_answer_would_be_seen(base: Base, tmp_path: Path) -> None:
    trial = d.Trial(command(base, "build"), {}, 1.0)
    (tmp_path / "plan.json").write_text("{")
    (tmp_path / ".plan.json.host-1.tmp").write_text("{")
    done = subprocess.CompletedProcess([], 1, "", "Traceback (most recent call last)\n")
    said = d.judge(trial, "SIGTERM", done, tmp_path, (143,)).wrong
    assert "torn: plan.json" in said and "exit code 1" in said and "a traceback" in said and "left over" in said
    assert d.judge(trial, "SIGTERM", subprocess.CompletedProcess([], 143, "", ""), tmp_path / "none", (143,)).wrong == ""


@pytest.mark.parametrize(
    "name", ["a.json", "a.jsonl", "a.csv", "a.nii.gz", "a.png", "a.pt", "a.safetensors", "a.html", "a.npz"]
)
def test_torn_files_of_every_kind_are_seen(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b'a,b\n{"half')
    assert len(whole.torn(tmp_path)) == 1
