"""A tilde in a path: the home folder where the shell has left it, and one sentence where it names nobody."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.errors import ConfigError
from data_prep.home import at_home
from data_prep.naming import naming
from data_prep.pseudonyms import VARIABLE
from monai_hybrid import cli, cli_app, one_command
from monai_hybrid.audit import __main__ as audit
from monai_hybrid.calibrating import __main__ as calibrating
from monai_hybrid.demo import demo
from monai_hybrid.evaluation import __main__ as compare
from monai_hybrid.exporting import __main__ as export
from monai_hybrid.nearest import __main__ as nearest
from monai_hybrid.reporting import command as reporting
from monai_hybrid.reporting.inputs import read_inputs
from monai_hybrid.suggesting import __main__ as suggesting
from monai_hybrid.viewing import command as viewing

NOBODY = "~nobody_of_this_name/scans"
SAID = f"error: {NOBODY}: no user is called 'nobody_of_this_name' on this machine. Give the whole path, from / on\n"
PREPARATION = [
    ["build", NOBODY, "--output", "out"],
    ["build", ".", "--output", NOBODY],
    ["build", ".", "--output", "out", "--splits", NOBODY],
    ["check", NOBODY],
    ["check", ".", "--json", NOBODY],
    ["repair", NOBODY, "--output", "out"],
    ["repair", ".", "--output", NOBODY],
    ["shift", NOBODY, "."],
    ["shift", ".", ".", "--output", NOBODY],
    ["phantom", "--output", NOBODY],
]
PROGRAM = [
    ["pretrain", "--data", NOBODY],
    ["pretrain", "--output", NOBODY],
    ["pretrain", "--unlabelled-dir", NOBODY],
    ["pretrain", "--cache-dir", NOBODY],
    ["adapt", "--data", NOBODY, "--model", "model.pt"],
    ["adapt", "--data", ".", "--model", NOBODY],
    ["adapt", "--output", NOBODY],
    ["adapt", "--source-replay", NOBODY],
    ["predict", NOBODY, "--model", "model.pt", "--output", "out"],
    ["predict", ".", "--model", NOBODY, "--output", "out"],
    ["predict", ".", "--model", "model.pt", "--output", NOBODY],
    ["evaluate", "--data", NOBODY, "--model", "model.pt", "--output", "out"],
    ["evaluate", "--data", ".", "--model", "model.pt", "--output", NOBODY],
    ["evaluate", "--data", ".", "--model", "model.pt", "--output", "out", "--source", NOBODY],
    ["evaluate", "--data", ".", "--model", "model.pt", "--output", "out", "--before", NOBODY],
    ["shift", NOBODY],
    ["shift", ".", "--model", NOBODY],
    ["suggest", "--data", NOBODY, "--model", "model.pt"],
    ["suggest", "--data", ".", "--model", NOBODY],
    ["calibrate", "--data", NOBODY, "--model", "model.pt"],
    ["calibrate", "--data", ".", "--model", NOBODY],
    ["compare", NOBODY, "."],
    ["report", NOBODY],
    ["view", NOBODY],
    ["export", "--model", NOBODY, "--output", "model.onnx"],
    ["bundle", "copy", NOBODY],
    ["bundle", "copy", "out", "--model", NOBODY],
    ["bundle", "copy", "out", "--data", NOBODY],
    ["sample", "--model", NOBODY, "--output", "out"],
]
STARTED: list[tuple[Callable[[], None], list[str]]] = [
    (viewing.main, [".", "--labels", NOBODY]),
    (viewing.main, [".", "--images", NOBODY]),
    (viewing.main, [".", "--model", NOBODY]),
    (reporting.main, [".", "--output", NOBODY]),
    (reporting.main, [".", "--suggestions", NOBODY]),
    (lambda: one_command.run(nearest.nearest, "nearest"), [".", "--output", NOBODY]),
    (calibrating.main, ["--data", ".", "--model", "model.pt", "--output", NOBODY]),
    (suggesting.main, ["--data", ".", "--model", "model.pt", "--output", NOBODY]),
    (export.main, ["--model", "model.pt", "--output", NOBODY]),
    (compare.main, [".", NOBODY]),
    (lambda: one_command.run(demo, "demo"), ["--output_dir", NOBODY]),
    (lambda: sys.exit(audit.main()), [NOBODY]),
    (lambda: sys.exit(audit.main()), [".", "--json", NOBODY]),
]


def _id(value: object) -> str:
    return "-".join(str(word).replace(NOBODY, "NOBODY") for word in value) if isinstance(value, list) else ""


@pytest.mark.parametrize("words", PREPARATION, ids=_id)
def test_the_home_of_nobody_is_a_sentence_in_each_step_of_preparation(words: list[str]) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2 and result.stderr == SAID


@pytest.mark.parametrize("words", PROGRAM, ids=_id)
def test_the_home_of_nobody_is_a_sentence_in_each_command(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").write_bytes(b"x")
    monkeypatch.setattr(sys, "argv", ["monai-hybrid", *words])
    monkeypatch.setattr(cli_app, "execute", lambda command: pytest.fail(f"started {command}"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2 and capsys.readouterr().err == SAID
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"], "nothing is written"


@pytest.mark.parametrize(("main", "words"), STARTED, ids=_id)
def test_the_home_of_nobody_is_a_sentence_in_what_commands_start(
    main: Callable[[], None], words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and capsys.readouterr().err == SAID


def test_the_home_of_nobody_is_a_sentence_in_what_a_report_compares_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no user is called"):
        read_inputs(tmp_path, [f"other={NOBODY}"])


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(app, ["phantom", "--output=~/made", "--cases", "1", "--dims", "2"])
    assert result.exit_code == 0 and (tmp_path / "home/made/images").is_dir()
    assert at_home("~/scans") == tmp_path / "home/scans" and at_home("~") == tmp_path / "home"


def test_results_of_a_run_go_to_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model.pt").write_bytes(b"x")
    started = []
    monkeypatch.setattr(cli_app, "execute", lambda command: started.append(command) or 0)
    words = ["predict", str(tmp_path), "--model", "~/model.pt", "--output=~/masks"]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    said = started[0].words
    assert said[said.index("--output_dir") + 1] == str(tmp_path / "masks")
    assert said[said.index("--model") + 1] == str(tmp_path / "model.pt")


def test_a_file_that_begins_with_a_tilde_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~scans").mkdir()
    assert at_home("~scans/a.nii.gz") == Path("~scans/a.nii.gz")
    for path in ("scans", "/data/~x", "a/~b", ""):
        assert at_home(path) == Path(path)


def test_a_key_file_in_the_home_of_nobody_is_told_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, NOBODY)
    with pytest.raises(ConfigError, match=f"{VARIABLE}={NOBODY}: no user is called 'nobody_of_this_name'"):
        naming()
