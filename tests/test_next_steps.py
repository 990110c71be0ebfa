"""What a command says at its end and where it refuses: in the words that the user typed, ready to be typed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from data_prep.errors import ConfigError
from data_prep.free_names import beside
from data_prep.layouts.common import label_folder
from data_prep.quoting import quoted
from data_prep.summary import next_line
from monai_hybrid import cli, commands, next_steps
from monai_hybrid.commands import bundle_command
from monai_hybrid.next_steps import (
    HOW_TO,
    after_adapt,
    after_evaluate,
    after_export,
    after_predict,
    after_pretrain,
    after_report,
    after_suggest,
    as_next,
)
from monai_hybrid.reporting import origin
from monai_hybrid.reporting.inputs import Inputs
from monai_hybrid.typed_options import OPTIONS, as_typed, environment

RUNNER = quoted(HOW_TO / "run_exported.py")
ODD = "my runs/it's"
MODEL_AND_OUTPUT = ("--model", "{m}", "--output", "o")
TARGET, DATA = "Next, with your data set for TARGET: ", "Next, with a data set with labels for DATA: "
ADAPT = "monai-hybrid adapt --data TARGET"
SCANS, ONE = "Next, with your scans for IMAGES: ", "Next, with your scan for SCAN: "


def test_the_next_lines_can_be_typed_whatever_the_path() -> None:
    for line in (after_pretrain(ODD), after_adapt(ODD, ODD), after_evaluate(ODD), after_predict(ODD)):
        words = shlex.split(line)
        assert words[0] == "monai-hybrid" and (ODD in words), line
    assert shlex.split(after_adapt("runs/a/", None))[3] == "DATA" and after_adapt("runs/a/", None).endswith("runs/a/eval")


def test_a_message_names_the_option_that_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x: holds a finished run; give another --output_dir, or --output_dir_of; --pretrained scratch"
    assert as_typed(text) == text
    monkeypatch.setenv(OPTIONS, environment({"output_dir": "--output", "pretrained": "--model"})[OPTIONS])
    assert as_typed(text) == "x: holds a finished run; give another --output, or --output_dir_of; --model scratch"
    spelled = "--label_map or --max_epochs, in a/--label_map, --label_maps, --config_file"
    assert as_typed(spelled) == "--label-map or --max-epochs, in a/--label_map, --label_maps, --config_file", "as in the help"
    monkeypatch.setenv(OPTIONS, environment({"output_dir": "output"})[OPTIONS])
    assert as_typed(spelled) == spelled, "keywords of Python have underscores"
    monkeypatch.setenv(OPTIONS, "{broken")
    assert as_typed(text) == text


def test_a_command_hands_on_the_names_of_its_options(tmp_path: Path) -> None:
    model = tmp_path / "model.pt"
    model.write_bytes(b"x")
    named = {"IMAGES": ("input", str(tmp_path)), "--model": ("model", str(model)), "--output": ("output_dir", "out")}
    made = bundle_command("few_shot_finetune", "inference.json", {}, named)
    assert made.options == {"input": "IMAGES", "output_dir": "--output"}


@pytest.mark.parametrize("place", ["models/model.safetensors", "models/model.pt", "model.safetensors"])
def test_a_runs_folder_is_taken_for_its_model(place: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(b"\x02" + bytes(7) + b"{}")
    named = {"--model": ("model", str(tmp_path)), "--output": ("output_dir", "out")}
    assert str(tmp_path / place) in bundle_command("few_shot_finetune", "evaluate.json", {}, named).words


@pytest.mark.parametrize(
    ("words", "last"),
    [
        (["pretrain", "--output", "o p"], f"{TARGET}{ADAPT} --model 'o p' --shots 3 --output runs/adapted"),
        (["adapt", "--data", "{d}", *MODEL_AND_OUTPUT], "Next: monai-hybrid evaluate --data '{d}' --model o --output o/eval"),
        (["adapt", *MODEL_AND_OUTPUT], f"{DATA}monai-hybrid evaluate --data DATA --model o --output o/eval"),
        (["evaluate", "--data", "{d}", *MODEL_AND_OUTPUT], SCANS + "monai-hybrid predict IMAGES --model '{m}' --output masks"),
        (["predict", "{d}", *MODEL_AND_OUTPUT], "Next: monai-hybrid view o"),
        (["export", "--model", "{m}", "--output", "m.ts"], f"{ONE}python {RUNNER} m.ts mask.nii.gz SCAN"),
        (["report", "{d}"], "Next: monai-hybrid view '{d}'"),
    ],
)  # fmt: skip
def test_each_command_ends_with_the_next(
    words: list[str], last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, model = tmp_path / "d d", tmp_path / "m m.pt"
    data.mkdir()
    (data / "quality.csv").write_text("")
    model.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    named = [word.format(d=data, m=model) for word in words]
    codes = [0]
    monkeypatch.setattr(commands, "run_child", lambda command, environment: codes[0])
    monkeypatch.setattr("sys.argv", ["monai-hybrid", *named])
    for code in (0, 3):
        codes[0] = code
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr().out
        assert ended.value.code == code and said == (f"{last.format(d=data, m=model)}\n" if code == 0 else "")


@pytest.mark.parametrize("words", [["predict", "x", "--output", "o"], ["evaluate", "--data", "x", "--output", "o"], ["sample"]])
def test_without_a_model_the_command_that_makes_one_is_named(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["monai-hybrid", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "no model was given. Give --model runs/adapted" in said
    assert "To make one: monai-hybrid pretrain --data DATA --output runs/source" in said


@pytest.mark.parametrize(
    ("folders", "named"),
    [
        (["images", "masks"], "masks"),
        (["images", "my masks"], "'my masks'"),
        (["images", "Segmentations"], "Segmentations"),
        (["images", "gt"], "gt"),
        (["images", "masks", "labels2"], "NAME"),
        (["images", "other"], "NAME"),
    ],
)
def test_the_folder_that_must_hold_the_labels_is_named(folders: list[str], named: str, tmp_path: Path) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    with pytest.raises(ConfigError) as refused:
        label_folder(tmp_path, "labels")
    assert str(refused.value).endswith(f"Type: --labels-dir {named}")


def test_a_good_check_says_what_to_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my data"
    folder.mkdir()
    assert shlex.split(next_line(folder, [])) == [
        "Next:",
        "monai-hybrid",
        "build",
        str(folder),
        "--output",
        "my data_prepared",
    ]
    told = {"labels_dir": "my masks", "series": None, "grey": True, "keep_names": False}
    assert next_line(folder, [], True, told).endswith(f"'{folder}' --labels-dir 'my masks' --grey --output 'my data_prepared'")
    monkeypatch.chdir(folder)
    assert beside(Path(), "_prepared") == beside(Path("../my data").resolve(), "_prepared")
    assert next_line(Path(), []).endswith(f" --output '{folder}_prepared'"), "nothing is proposed within the data"
    assert beside(Path(".."), "_x").name == f"{tmp_path.name}_x"
    (folder / "datalist.json").write_text("{}")
    assert next_line(folder, []) == "" and next_line(folder / "datalist.json", []) == ""


@pytest.mark.parametrize(
    ("testing", "word"),
    [
        ([{"image": "a.png", "label": "b.png"}], "evaluate"),
        ([], "predict"),
        ([{"image": "a.png"}], "predict"),
        (None, "evaluate"),
    ],
)
def test_after_an_adaptation_nothing_is_proposed_that_is_refused(testing: Any, word: str, tmp_path: Path) -> None:
    if testing is not None:
        (tmp_path / "datalist.json").write_text(json.dumps({"testing": testing}))
    assert shlex.split(after_adapt("runs/a", str(tmp_path)))[1] == word


@pytest.mark.parametrize(("testing", "word"), [([{"image": "a.png", "label": "b.png"}], "evaluate"), ([], "predict")])
def test_raw_data_are_known_by_what_the_run_has_prepared(testing: Any, word: str, tmp_path: Path) -> None:
    """Corrected labels are adapted to as they lie, and nobody of them is held out."""
    (tmp_path / "masks/corrected").mkdir(parents=True)
    (tmp_path / "run/data/corrected").mkdir(parents=True)
    (tmp_path / "run/data/corrected/datalist.json").write_text(json.dumps({"testing": testing}))
    assert shlex.split(after_adapt(str(tmp_path / "run"), str(tmp_path / "masks/corrected/")))[1] == word


def test_what_a_report_tells_to_type_is_an_option_of_that_command(tmp_path: Path) -> None:
    shown = origin.left_out(Inputs(tmp_path, None, None, {}, [], None, None, None, None, None))
    assert len(shown) > 8
    for _, _, line in shown:
        program, name, *words = shlex.split(line)
        known = {option for parameter in get_command(cli.app).commands[name].params for option in parameter.opts}
        assert program == "monai-hybrid" and {word for word in words if word.startswith("--")} <= known, line


def test_after_a_choice_of_scans_all_of_them_are_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where `masks` is free
    scans = str(tmp_path / "my scans")
    assert shlex.split(after_suggest(scans, "m"))[1:] == ["predict", scans, "--model", "m", "--output", "masks"]
    (tmp_path / "datalist.json").write_text("{}")
    assert shlex.split(after_suggest(str(tmp_path), "m"))[-4:] == ["--split", "training", "--output", "masks"]


def test_words_to_replace_are_named_and_no_others() -> None:
    line = after_adapt("runs/IMAGES", None)
    assert as_next(line) == f"{DATA}{line}", "a folder called so is no such word"
    assert as_next("compare a b") == "Next: compare a b" and as_next("") == ""


def test_an_exported_model_of_pictures_has_its_own_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sidecar = tmp_path / "m.onnx.json"
    for shape, program in (
        ([1, 1, 64, 64], "run_exported_pictures.py"),
        ([1, 1, 8, 8, 8], "run_exported.py"),
        (3, "run_exported.py"),
    ):
        sidecar.write_text(json.dumps({"model": {"input_shape": shape}}))
        assert shlex.split(after_export(str(tmp_path / "m.onnx")))[1] == str(HOW_TO / program)
        assert (HOW_TO / program).is_file()
    monkeypatch.setattr(next_steps, "HOW_TO", tmp_path)  # a package that was installed
    expected = "Next, with your scan for SCAN and docs/how-to/run_exported.py of the repository for run_exported.py: "
    assert as_next(after_export("m.onnx")) == f"{expected}python run_exported.py m.onnx mask.nii.gz SCAN"


@pytest.mark.parametrize(
    ("channels", "colour", "word"),
    [(["T1"], None, "SCAN"), (["T1", "FLAIR"], None, "SCANS"), (["red", "green", "blue"], ["red", "green", "blue"], "SCAN")],
)
def test_an_exported_model_takes_a_file_a_channel(channels: list[str], colour: Any, word: str, tmp_path: Path) -> None:
    told = {"model": {"input_shape": [1, 2, 8, 8, 8]}, "channels": channels, "colour": colour}
    (tmp_path / "m.onnx.json").write_text(json.dumps(told))
    assert shlex.split(after_export(str(tmp_path / "m.onnx")))[-1] == word


@pytest.mark.parametrize(
    ("files", "word"),
    [
        (["quality.csv"], "view"),
        (["models/model.pt"], "adapt"),
        (["models/model.pt", "shots.json"], "evaluate"),
        (["models/model.pt", "shots.json", "eval/cases.csv"], "predict"),
        (["cases.csv"], "compare"),
        (["suggestion.json"], None),
    ],
)
def test_after_a_report_comes_what_its_run_is_for(files: list[str], word: str | None, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    words = shlex.split(after_report(str(tmp_path)))
    assert (words[1] if words else None) == word and (word is None or any(str(tmp_path) in one for one in words))
