"""`--model scan.nii.gz`: every command refuses it by its ending, before anything heavy is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.reading import EXTENSIONS
from monai_hybrid import cli, commands, setting_checks
from monai_hybrid.catalogue.naming import what_else
from monai_hybrid.errors import ModelFileError
from monai_hybrid.setting_checks import check_there

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


@pytest.mark.parametrize("name", COMMANDS)
def test_a_scan_is_no_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d").mkdir()
    for file in ("scan.nii.gz", "own.pth"):
        Path(file).write_bytes(b"")
    monkeypatch.setattr(commands, "run_child", lambda words, environment: pytest.fail("it was started"))
    monkeypatch.setattr("sys.argv", ["monai-hybrid", *COMMANDS[name], "scan.nii.gz"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == ModelFileError.exit_code
    assert "scan.nii.gz: no model file but an image; expected .pt or .safetensors, or the folder of a run" in said


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
        place.write_bytes(b"")
        check_there("model", str(place))
