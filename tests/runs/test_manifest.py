"""The record of a run: written beside its results, and only when there are any."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path

import pytest
from warm import run_module

from monai_hybrid.runs.manifest import RunRecord, _files, cpu_name

ROOT = Path(__file__).parents[2]
WORDS = ["/monai/bundle/__main__.py", "run"]
CONFIG = {
    "imports": ["$import os", "$import monai_hybrid.bundle as bundle"],
    "bundle_root": ".",
    "output_dir": "$os.path.join(@bundle_root, 'eval')",
    "seed": 3,
    "initialize": ["$bundle.start(@bundle_root)"],
    "run": ["$open(@output_dir + '/cases.csv', 'w').close()", "$1 / @seed"],
}


def config(folder: Path, name: str) -> str:
    (folder / "configs").mkdir(exist_ok=True)
    path = folder / "configs" / name
    path.write_text(json.dumps(CONFIG))
    return str(path)


def test_a_record_says_how_to_run_it_again(tmp_path: Path) -> None:
    file = config(tmp_path, "evaluate.json")
    argv = [*WORDS, "--config_file", file, "--seed", "7", "--note", "two words"]
    record = RunRecord(argv, {"config_file": file, "seed": 7, "note": "two words"}, str(tmp_path))
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval/cases.csv").write_text("")
    record.write()
    content = json.loads((tmp_path / "eval/run.json").read_text())
    assert content["command"] == f"python -m monai.bundle run --config_file {file} --seed 7 --note 'two words'"
    assert (content["seed"], content["outcome"]) == (7, "finished")
    assert content["settings"] == {"seed": "7", "note": "two words"}
    assert content["versions"]["python"] == platform.python_version() and {"torch", "monai"} <= set(content["versions"])
    assert content["machine"]["cores"] == os.cpu_count()
    assert platform.node() not in json.dumps(content["machine"])


def test_a_training_is_recorded_under_its_logs_and_a_later_setting_wins(tmp_path: Path) -> None:
    file = config(tmp_path, "train.json")
    assert RunRecord(WORDS, {"config_file": file}, str(tmp_path)).folder == tmp_path / "eval/logs"
    record = RunRecord(WORDS, {"config_file": file, "output_dir": str(tmp_path / "o")}, str(tmp_path))
    assert (record.folder, record.seed) == (tmp_path / "o/logs", 3)


def test_the_revision_is_that_of_the_code_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long training goes on with the code that it was begun with, whatever is checked out meanwhile."""
    monkeypatch.setattr("monai_hybrid.runs.manifest.revision", lambda: "aaaaaaaaaaaa")
    record = RunRecord(WORDS, {"config_file": config(tmp_path, "evaluate.json")}, str(tmp_path))
    monkeypatch.setattr("monai_hybrid.runs.manifest.revision", lambda: "bbbbbbbbbbbb-dirty")
    assert record.content()["revision"] == "aaaaaaaaaaaa"


def test_a_run_without_results_leaves_nothing(tmp_path: Path) -> None:
    record = RunRecord(WORDS, {"config_file": config(tmp_path, "evaluate.json")}, str(tmp_path))
    record.write()
    assert not (tmp_path / "eval").exists()
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval/cases.csv").write_text("of an earlier run")
    RunRecord(WORDS, {"config_file": config(tmp_path, "evaluate.json")}, str(tmp_path)).write()
    assert [p.name for p in (tmp_path / "eval").iterdir()] == ["cases.csv"]


def test_a_clock_set_back_does_not_lose_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval/cases.csv").write_text("of an earlier run")
    record = RunRecord(WORDS, {"config_file": config(tmp_path, "evaluate.json")}, str(tmp_path))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 7200)
    (tmp_path / "eval/cases.csv").write_text("of this run")
    os.utime(tmp_path / "eval/cases.csv", (now - 7200, now - 7200))
    record.write()
    assert 0 <= json.loads((tmp_path / "eval/run.json").read_text())["seconds"] < 60


def test_a_run_that_fails_is_recorded_as_failed(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    file = config(tmp_path, "evaluate.json")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = run_module("monai.bundle", ["run", "--config_file", str(file), "--seed", "0"], tmp_path, environment)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    assert json.loads((tmp_path / "eval/run.json").read_text())["outcome"] == "failed"


def test_the_processor_is_named_on_linux_and_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: A Fine CPU\nmodel name\t: A Fine CPU\n")
    assert cpu_name(tmp_path / "cpuinfo") == "A Fine CPU"
    assert cpu_name(tmp_path / "none") in (platform.processor(), platform.machine())


def test_links_that_lead_nowhere_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gone.nii.gz").symlink_to(tmp_path / "unmounted")
    before = _files(tmp_path)
    (tmp_path / "new").write_text("x")
    assert {name for name, _, _ in _files(tmp_path) - before} == {"new"}
