"""What nobody may read ends every command with 5 and one sentence; what is not there ends it with 3."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from data_prep import cli as data_prep_cli
from data_prep.endings import fault_of
from data_prep.errors import DataError, EnvironmentFault, said_by_system
from monai_hybrid import cli, commands, one_command
from monai_hybrid.audit.__main__ import main as audit_main
from monai_hybrid.calibrating.__main__ import calibrating
from monai_hybrid.evaluation.__main__ import print_comparison
from monai_hybrid.nearest.__main__ import nearest
from monai_hybrid.reporting.command import report
from monai_hybrid.suggesting.__main__ import suggesting
from monai_hybrid.viewing.command import view


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is there, and closed: to the superuser, who runs some tests, nothing is."""
    monkeypatch.chdir(tmp_path)
    Path("locked/images").mkdir(parents=True)
    for name in ("stat", "lstat", "listdir", "scandir", "open", "access"):
        monkeypatch.setattr(os, name, _closed(getattr(os, name), name))
    monkeypatch.setattr("io.open", _closed(open, "open"))
    monkeypatch.setattr("tempfile.TemporaryDirectory.cleanup", lambda self: None)
    return Path("locked")


def _closed(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    def refused(path: Any = ".", *given: Any, **named: Any) -> Any:
        place = Path(os.fsdecode(path)) if isinstance(path, str | bytes | os.PathLike) else Path()
        inside = "locked" in place.parts[:-1]
        if inside or (place.name == "locked" and name in ("listdir", "scandir", "access")):
            if name == "access":
                return False
            raise PermissionError(13, "Permission denied", str(path))
        return call(path, *given, **named)

    return refused


SAID = "the system says: Permission denied. Type: ls -ld "


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["predict", "{}", "--model", "universal_2d", "--output", "o"], "IMAGES "),
        (["adapt", "--data", "{}", "--model", "scratch", "--output", "o"], "--data "),
        (["pretrain", "--data", "{}", "--output", "o"], "--data "),
        (["evaluate", "--data", "{}", "--model", "universal_2d", "--output", "o"], "--data "),
        (["predict", "scans", "--model", "{}/model.pt", "--output", "o"], "--model "),
        (["calibrate", "--data", "{}", "--model", "universal_2d"], "--data "),
        (["suggest", "--data", "{}", "--model", "universal_2d"], "--data "),
        (["compare", "{}", "scans"], "A "),
        (["compare", "scans", "{}"], "B "),
        (["report", "{}"], "FOLDER "),
        (["view", "{}"], "FOLDER "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("place", ["locked", "locked/images"])
def test_the_command_line_says_so_before_it_starts_anything(
    words: list[str], option: str, place: str, locked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("scans").mkdir()
    monkeypatch.setattr(commands, "run_child", lambda *_: pytest.fail("it was started"))
    monkeypatch.setattr("sys.argv", ["monai-hybrid", *(word.format(place) for word in words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    path = f"{place}/model.pt" if option == "--model " else place
    said = capsys.readouterr().err.splitlines()[-1]
    assert (ended.value.code, said.startswith(f"error: {option}{path}: {SAID}locked")) == (EnvironmentFault.exit_code, True), (
        said
    )


@pytest.mark.parametrize("words", ["check {}", "build {} --output o", "repair {} --output o", "shift {} {}"])
@pytest.mark.parametrize("place", ["locked", "locked/images"])
def test_so_do_the_commands_of_data_prep(words: str, place: str, locked: Path) -> None:
    result = CliRunner().invoke(data_prep_cli.app, words.format(place, place).split())
    assert result.exit_code == EnvironmentFault.exit_code and SAID in result.stderr and result.stderr.count("\n") == 1
    assert not Path("o").exists()


@pytest.mark.parametrize("place", ["locked", "locked/images", "locked/bundle.zip"])
def test_so_does_audit(place: str, locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit_main([place]) == EnvironmentFault.exit_code
    assert f"error: {place}: {SAID}locked" in capsys.readouterr().err


def test_no_parser_tries_to_read_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be a usage error, in a box, with exit code 2."""
    seen = []
    programs = [typer.main.get_command(app) for app in (data_prep_cli.app, cli.app)]
    monkeypatch.setattr(typer.Typer, "__call__", lambda self, **_: seen.append(typer.main.get_command(self)))
    for command in (calibrating, print_comparison, nearest, report, suggesting, view):
        one_command.run(command, "program")
    found = [command for program in programs for command in vars(program)["commands"].values()] + seen
    assert len(seen) == 6
    of_paths = 0
    for parameter in (parameter for command in found for parameter in command.params):
        descriptor = getattr(parameter, "type_descriptor", None)
        for kind in (getattr(parameter, "type", None), getattr(descriptor, "parameter_info", None)):
            of_paths += hasattr(kind, "readable")
            assert not getattr(kind, "readable", False), parameter.name
    assert of_paths > 20


def test_which_line_shows_whose_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a b.txt"
    file.write_text("")
    for path, look in ((tmp_path, f"ls -ld {tmp_path}"), (file, f"ls -l '{file}'"), (tmp_path / "x", f"ls -ld {tmp_path}")):
        said = said_by_system(PermissionError(13, "Permission denied", str(path)))
        assert said == f"{path}: the system says: Permission denied. Type: {look}"
    full = OSError(28, "No space left on device")
    assert said_by_system(full) == "a file: the system says: No space left on device" == str(fault_of(full))
    assert fault_of(ValueError("a fault of the program")) is None
    memory, own = fault_of(MemoryError()), DataError("x")
    assert str(memory) == "not enough memory. Type: free -h" and fault_of(own) is own
