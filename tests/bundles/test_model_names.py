"""`--model NAME` where a path goes, typed and in plain `monai.bundle run`; adapt without a model, and with auto."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bundle_runs import TINY, run_bundle
from made_models import three
from test_picture_runs import raw

from data_prep.build import build
from monai_hybrid.bundle_copy import copy_bundle
from monai_hybrid.commands import bundle_command, training_command
from monai_hybrid.errors import ConfigError
from monai_hybrid.weights import read_card

FLAT = {**TINY, "max_epochs": 1, "updates_per_epoch": 1, "patch_size": "[16,16]", "spacing": "[1,1]", "shots": 1}
ADAPT = "bundles/few_shot_finetune/configs/train.json"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = three(tmp_path / "models_of_tests")
    monkeypatch.setenv("MONAI_HYBRID_MODELS", str(folder))
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    build(raw(tmp_path / "raw", "grey.png"), tmp_path / "prepared")
    return tmp_path / "prepared"


def test_a_plain_run_predicts_by_name(models: Path, tmp_path: Path) -> None:
    images = raw(tmp_path / "raw", "grey.png") / "images"
    config = "bundles/few_shot_finetune/configs/inference.json"
    done = run_bundle(config, input=images, model="discs_mr", output_dir=tmp_path / "masks")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "masks/case0_seg.png").is_file()
    assert "model discs_mr: comes with the package, licence CC BY-SA 4.0" in done.stdout


@pytest.mark.parametrize("setting", ["model", "pretrained"])
def test_a_typed_name_becomes_the_path_of_its_file(
    setting: str, models: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = bundle_command("few_shot_finetune", "evaluate.json", {}, {"--x": (setting, "discs_mr")})
    assert command.words[command.words.index(f"--{setting}") + 1] == str(models / "discs_mr.safetensors")
    assert "model discs_mr: comes with the package" in capsys.readouterr().err
    command = bundle_command("few_shot_finetune", "train.json", {}, {"--model": ("pretrained", "auto")})
    assert command.words[-1] == "auto"


def test_only_an_adaptation_takes_the_nearest(models: Path) -> None:
    with pytest.raises(ConfigError, match="--pretrained auto: only an adaptation takes the nearest model"):
        training_command("hybrid_pretrain", {"pretrained": "auto"}, {}, report=False)


def test_a_bundle_is_copied_with_a_model_by_name(models: Path, tmp_path: Path) -> None:
    copy_bundle(tmp_path / "copy", model=Path("discs_mr"))
    card = read_card(tmp_path / "copy/models/model.pt")
    assert card is not None and card["labels"][1]["name"] == "disc"


def test_adapt_without_a_model_takes_the_universal_one(models: Path, target: Path, tmp_path: Path) -> None:
    done = run_bundle(ADAPT, dataset_dir=target, output_dir=tmp_path / "run", **FLAT)
    assert done.returncode == 0, done.stderr[-2000:]
    line = "starting from universal_2d: no model was given, and universal_2d is the start for any 2D data. Give --pretrained"
    assert line in done.stdout
    record = json.loads((tmp_path / "run/logs/run.json").read_text())
    assert record["chosen"]["pretrained"]["model"] == "universal_2d"
    assert json.loads((tmp_path / "run/logs/transfer.json").read_text())["source"] == str(models / "universal_2d.safetensors")


def test_adapt_with_auto_says_what_it_took(models: Path, target: Path, tmp_path: Path) -> None:
    done = run_bundle(ADAPT, dataset_dir=target, pretrained="auto", output_dir=tmp_path / "run", **FLAT)
    assert done.returncode == 0, done.stderr[-2000:]
    record = json.loads((tmp_path / "run/logs/run.json").read_text())["chosen"]["pretrained"]
    assert record["model"] == "universal_2d" and "as no model resembles these scans" in record["reason"]
    assert record["reason"] in done.stdout
    card = read_card(tmp_path / "run/models/model.safetensors")
    assert card is not None and set(card["reference"]["images"]) >= {"quantiles", "spacing", "shape"}


def test_adapt_without_any_universal_model_is_refused_as_before(target: Path, tmp_path: Path) -> None:
    done = run_bundle(ADAPT, dataset_dir=target, output_dir=tmp_path / "run", **FLAT)
    assert done.returncode == 2 and "no model to adapt was given" in done.stderr
