"""The models that come with the package: what is listed, what a name means, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from made_models import about, add, card_of
from safetensors import safe_open

from data_prep.errors import ConfigError, EnvironmentFault, ModelFileError
from monai_hybrid import api
from monai_hybrid.bundle.data import PreparedData
from monai_hybrid.catalogue.about import problems, read_about
from monai_hybrid.catalogue.entry import entries, universal
from monai_hybrid.catalogue.folder import FOLDER, LARGEST, LARGEST_TOGETHER, names, sums, weights_file
from monai_hybrid.catalogue.naming import is_name, model_path, no_such_model, said_of
from monai_hybrid.catalogue.shown import lines, show_models
from monai_hybrid.few_shot.starting_point import starting_point
from monai_hybrid.setting_checks import check_there
from monai_hybrid.weights import load_weights, read_card


def test_without_models_every_question_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert names() == [] and entries() == [] and universal(3) is None
    show_models(None, None, False)
    assert "No model comes with this installation. monai-hybrid pretrain --data synthetic" in capsys.readouterr().out
    show_models(None, None, True)
    assert json.loads(capsys.readouterr().out) == []
    with pytest.raises(ModelFileError, match=r"models show universal_3d: no such model. No model comes with"):
        show_models("show", "universal_3d", False)


def test_a_start_of_random_shapes_is_fine_tuned_at_a_larger_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = {"universal_2d": card_of(2, ["blob"], universal=True), "discs_mr": card_of(2, ["disc"])}
    for name, card in cards.items():
        add(tmp_path, name, card, about(name))
    monkeypatch.setenv("MONAI_HYBRID_MODELS", str(tmp_path))
    card = cards["universal_2d"]
    plan = {"network": card["network"], "spatial_dims": 2}
    data = PreparedData(tmp_path, [], [], [], {"channels": ["image"], "labels": card["labels"]}, plan)
    own = shutil.copy(tmp_path / "universal_2d.safetensors", tmp_path / "copy.safetensors")
    rates = {name: starting_point(str(name), data, "").learning_rate for name in ("universal_2d", own, "discs_mr", "scratch")}
    assert rates == {"universal_2d": 0.003, own: 0.003, "discs_mr": 0.0003, "scratch": 0.0003}
    # the same network without its weights is no such start
    assert starting_point("scratch", data, "", plan_from=str(own)).learning_rate == 0.0003


def test_the_table_says_what_a_model_is_for(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_models(None, None, False)
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines()] == ["name", "discs_mr", "universal_2d", "universal_3d", "Next:"]
    assert "any, after adapting" in text and "CC BY-SA 4.0" in text
    show_models(None, None, True)
    rows = json.loads(capsys.readouterr().out)
    assert rows == api.models()
    row = rows[0]
    assert row["name"] == "discs_mr" and row["structures"] == ["disc"] and row["dimensions"] == 2
    assert row["spacing"] == [1.0, 1.0] and row["modality"] == "MRI" and row["bytes"] > 10_000
    assert universal(2) == "universal_2d" and universal(3) == "universal_3d"


def test_one_model_is_told_in_full(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_models("show", "discs_mr", False)
    text = capsys.readouterr().out
    wanted = ["Name the people who drew the discs.", "0.90 [0.88, 0.92] (12 patients)", "Dark discs are not found."]
    wanted += ["Squares, 3 labels: Dice square 0.50 (5 patients)", "monai-hybrid predict SCANS --model discs_mr"]
    for told in wanted:
        assert told in text, told
    assert not any("predict" in line for line in lines(entries()[-1]))
    show_models("show", "discs_mr", True)
    told = json.loads(capsys.readouterr().out)
    assert told["about"] == about() and told["card"]["labels"][1]["name"] == "disc"
    with pytest.raises(ModelFileError, match=r"no such file or model; models: discs_mr, .*Did you mean discs_mr\?"):
        show_models("show", "disc_mr", False)
    with pytest.raises(ConfigError, match="expected show"):
        show_models("list", None, False)


def test_a_name_means_its_file_and_a_path_comes_first(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_path("discs_mr") == str(models / "discs_mr.safetensors")
    assert said_of("discs_mr") == "model discs_mr: comes with the package, licence CC BY-SA 4.0"
    assert "adapt it before you use its masks" in said_of("universal_2d")
    for text in ("./discs_mr", "discs_mr.safetensors", "nothing", "models/model.pt", ""):
        assert model_path(text) == text and said_of(text) == "" and not is_name(text)
    card = read_card("discs_mr")
    assert card is not None and card["labels"][1]["name"] == "disc"
    assert api.load_model("discs_mr").card["spatial_dims"] == 2
    (tmp_path / "discs_mr").mkdir()
    assert model_path("discs_mr") == "discs_mr" and "not the one of this name that comes" in said_of("discs_mr")


def test_a_mistyped_name_is_answered_with_the_names(models: Path) -> None:
    check_there("model", "discs_mr")
    with pytest.raises(
        ModelFileError, match=r"--model discs_m: no such file or model; models: discs_mr, univ.*mean discs_mr\?"
    ):
        check_there("model", "discs_m")
    assert no_such_model("discs_m.pt") == "" and no_such_model("runs/discs_m") == ""
    with pytest.raises(ModelFileError, match=r"--model discs_m.pt: no such model file"):
        check_there("model", "discs_m.pt")


def test_other_bytes_than_listed_are_refused(models: Path) -> None:
    assert weights_file("discs_mr").is_file()
    file = models / "discs_mr.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match="not the file that SHA256SUMS beside it lists"):
        load_weights("discs_mr")
    (models / "SHA256SUMS").write_text("")
    with pytest.raises(ModelFileError, match="does not list it"):
        weights_file("universal_2d")


def damage(models: Path, name: str) -> None:
    (models / f"{name}.safetensors").write_bytes(b"cut off")


def test_a_folder_of_a_models_name_is_no_model(models: Path) -> None:
    file = next(file for file in models.glob("*.safetensors"))
    name = file.stem
    assert is_name(name)
    file.unlink()
    file.mkdir()
    assert name not in names() and not is_name(name)
    with pytest.raises(ModelFileError, match="cannot be read"):
        weights_file(name)


def test_a_damaged_model_is_a_line_of_the_table_and_hinders_no_other(
    models: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    damage(models, "discs_mr")
    show_models(None, None, False)
    lines_of = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines_of] == ["name", "universal_2d", "universal_3d", "discs_mr", "Next:"]
    assert "cannot be used" in lines_of[3] and "SHA-256 differs. Type: pip install" in lines_of[3]
    assert lines_of[4] == "Next: monai-hybrid models show universal_2d"
    show_models(None, None, True)
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["discs_mr", "universal_2d", "universal_3d"] and rows == api.models()
    assert set(rows[0]) == {"name", "error"}
    assert [one.name for one in entries()] == ["universal_2d", "universal_3d"] and "model discs_mr is left out: " in caplog.text


def test_a_damaged_file_about_a_model_hinders_no_other(models: Path) -> None:
    (models / "universal_2d.json").write_text("{")
    assert universal(3) == "universal_3d" and [one.name for one in entries()] == ["discs_mr", "universal_3d"]
    with pytest.raises(ModelFileError, match=r"universal_2d\.json"):
        universal(2)
    with pytest.raises(ModelFileError, match=r"universal_2d\.json"):
        show_models("show", "universal_2d", False)


def test_where_all_are_damaged_it_is_said(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in names():
        damage(models, name)
    with pytest.raises(ModelFileError, match="SHA-256 differs"):
        entries()
    show_models(None, None, False)
    assert capsys.readouterr().out.count("cannot be used") == 3


def test_the_list_of_checksums_is_that_of_sha256sum(models: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=models, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.count(": OK") == 3


def test_weights_of_half_precision_are_read_as_float32(models: Path) -> None:
    with safe_open(models / "discs_mr.safetensors", framework="pt") as handle:
        assert {handle.get_tensor(name).dtype for name in handle.keys()} == {torch.float16}  # noqa: SIM118
    assert {tensor.dtype for tensor in load_weights("discs_mr").values()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format_version": 2}, "format_version: saw 2; expected 1; update"),
        ({"licence": {"weights": "CC0"}}, "licence: saw .*; expected an object with weights and attribution"),
        ({"title": "two\nlines"}, "title: saw .*expected a text of 1 to 200 characters on one line"),
        ({"scores": {"source_test": {"patients": 1, "dice": {"a": {"mean": 7, "interval": None}}}, "adapted": []}}, "scores"),
        ({"universal": "yes"}, "universal: saw 'yes'; expected true"),
        ({"more": 1}, "expected a JSON object"),
        ({"name": "other"}, "name: saw 'other'; expected 'discs_mr', as the file is called"),
    ],
)
def test_a_file_about_a_model_is_held_to_its_schema(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    file = tmp_path / "discs_mr.json"
    file.write_text(json.dumps(about()))
    assert read_about(file)["title"] == "Bright discs"
    file.write_text(json.dumps({**about(), **change}))
    with pytest.raises(ModelFileError, match=told):
        read_about(file)


@pytest.mark.parametrize("text", ["", "[", "[]", '{"name": NaN}', "[" * 100_000, " " * 2_000_000])
def test_a_file_about_a_model_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ModelFileError, match=r"a\.json"):
        read_about(tmp_path / "a.json")


@pytest.mark.parametrize("place", ["/nowhere", "~nobody_of_this_name/models"])
def test_a_folder_of_models_that_is_not_there_is_said(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONAI_HYBRID_MODELS", place)
    with pytest.raises(EnvironmentFault, match=f"MONAI_HYBRID_MODELS={place}: no such folder"):
        names()


def test_files_of_other_names_are_no_models(models: Path) -> None:
    add(models, "No-Name", card_of(2, ["disc"]), about())
    (models / "alone.safetensors").write_bytes(b"")
    assert names() == ["discs_mr", "universal_2d", "universal_3d"]


def test_the_package_keeps_to_its_sizes_and_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONAI_HYBRID_MODELS")
    files = sorted(FOLDER.glob("*.safetensors"))
    assert {file.name for file in files} == set(sums(FOLDER)) and [file.stem for file in files] == names()
    assert all(file.stat().st_size <= LARGEST for file in files)
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= LARGEST_TOGETHER
    for one in entries():
        assert weights_file(one.name) == one.file and problems(one.about) == []
        assert one.card["training"]["objective"] == "hybrid"
