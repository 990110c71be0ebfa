"""`--model scan.nii.gz`, or a model that was cut off: every command refuses it before anything heavy is loaded."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.reading import EXTENSIONS
from monai_hybrid import cli, commands, setting_checks
from monai_hybrid.catalogue.naming import what_else
from monai_hybrid.cut_off import cut_off, said_of_cut_off
from monai_hybrid.errors import ModelFileError
from monai_hybrid.setting_checks import check_there
from monai_hybrid.weights import load_weights

COMMANDS = {
    "adapt": ["adapt", "--data", "d", "--output", "o", "--model"],
    "distil": ["distil", "--data", "d", "--output", "o", "--model"],
    "predict": ["predict", "d", "--output", "o", "--model"],
    "evaluate": ["evaluate", "--data", "d", "--output", "o", "--model"],
    "before": ["evaluate", "--data", "d", "--output", "o", "--model", "own.pth", "--before"],
    "sample": ["sample", "--output", "o", "--model"],
    "export": ["export", "--output", "o.onnx", "--model"],
    "calibrate": ["calibrate", "--data", "d", "--model"],
    "suggest": ["suggest", "--data", "d", "--model"],
    "shift": ["shift", "d", "--model"],
    "view": ["view", "d", "--model"],
    "bundle": ["bundle", "copy", "new", "--model"],
    "plan": ["adapt", "--data", "d", "--output", "o", "--model", "scratch", "--plan-from"],
}


Refused = Callable[[list[str]], str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """What is said of a model that a command does not take; nothing is started."""
    monkeypatch.chdir(tmp_path)
    Path("d").mkdir()
    Path("own.pth").write_bytes(b"x")
    monkeypatch.setattr(commands, "run_child", lambda words, environment: pytest.fail("it was started"))

    def typed(words: list[str]) -> str:
        monkeypatch.setattr("sys.argv", ["monai-hybrid", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == ModelFileError.exit_code
        return capsys.readouterr().err

    return typed


@pytest.mark.parametrize("name", COMMANDS)
def test_a_scan_is_no_model(name: str, refused: Refused) -> None:
    Path("scan.nii.gz").write_bytes(b"x")
    said = refused([*COMMANDS[name], "scan.nii.gz"])
    assert "scan.nii.gz: no model file but an image; expected .pt or .safetensors, or the folder of a run" in said


def safetensors(length: int | None = None) -> bytes:
    """8 bytes of weights behind a header of 64."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).ljust(64).encode()
    return (len(header).to_bytes(8, "little") + header + bytes(8))[:length]


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as members:
        members.writestr("model/data.pkl", "x" * 100)
    return file.getvalue()


CUT = {
    "m.pt": (b"", "it is empty, 0 bytes"),
    "n.pt": (archive()[:90], "it was cut off: it has 90 bytes, and the list of members at its end is missing"),
    "m.safetensors": (b"", "it is empty, 0 bytes"),
    "n.safetensors": (b"\x10\x00\x00", "it was cut off: it has 3 bytes, and by its header 8"),
    "o.safetensors": (safetensors(40), "it was cut off: it has 40 bytes, and by its header 72"),
    "p.safetensors": (safetensors(76), "it was cut off: it has 76 bytes, and by its header 80"),
}


@pytest.mark.parametrize("name", CUT)
def test_a_model_that_was_cut_off_is_told_at_once(name: str, refused: Refused) -> None:
    content, missing = CUT[name]
    Path(name).write_bytes(content)
    wanted = f"{name}: not a readable model file ({missing}); copy it again from its source\n"
    assert refused([*COMMANDS["predict"], name]).endswith(wanted)
    assert refused(["models", "show", name]).endswith(wanted)
    with pytest.raises(ModelFileError, match=re.escape(wanted.strip())):
        load_weights(name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_looks_whether_a_model_is_whole_in_the_folder_of_a_run_too(name: str, refused: Refused) -> None:
    for file, content in (("run/models/model.pt", archive()), ("run/models/model.safetensors", safetensors(78))):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_bytes(content)
    said = "not a readable model file (it was cut off: it has 78 bytes, and by its header 80); copy it again from its source"
    assert f"run/models/model.safetensors: {said}" in refused([*COMMANDS[name], "run"])
    assert f"model.safetensors beside it, which holds its card, is {said}" in refused([*COMMANDS[name], "run/models/model.pt"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("whole.safetensors", safetensors()),
        ("longer.safetensors", safetensors() + b"x"),  # safetensors itself says what is wrong with these
        ("text.safetensors", b"a text of no use"),
        ("list.safetensors", b"\x02" + bytes(7) + b"[]"),
        ("words.safetensors", b"\x07" + bytes(7) + b'{"a":1}'),
        ("whole.pt", archive()),
        ("old.pt", b"\x80\x02\x8a"),
        ("none.pt", None),
    ],
)
def test_what_length_says_nothing_of_is_left_to_those_who_read_it(name: str, content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert cut_off(tmp_path / name) == "" == said_of_cut_off(tmp_path / name)


def test_a_file_of_yours_is_none_that_models_shows(refused: Refused) -> None:
    assert "models show own.pth: a file or folder of yours; shown are models of the package. " in refused(
        ["models", "show", "own.pth"]
    )


def test_endings_of_all_kinds_are_known() -> None:
    assert {what_else(f"a{ending.upper()}") for ending in EXTENSIONS} == {"an image"}
    assert what_else("slice.dcm") == "an image" and what_else("quality.csv") == "a text or a table"


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.safetensors", "M.PT", "m.ckpt", "nii.gz.pt", "m", "m.best", "run.json"])
def test_models_and_folders_are_taken(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    if name == "run.json":
        (place / "models").mkdir(parents=True)
        assert setting_checks.model_in(place) is None
        check_there("pretrained", str(place))  # a folder may be called so
    else:
        place.write_bytes(safetensors() if name.endswith("safetensors") else b"x")
        check_there("model", str(place))
