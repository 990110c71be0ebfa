"""How models of the package are made: recipes, packing, scores and pages, on a made-up run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_models import add, card_of
from PIL import Image

from benchmarks.models import pack as packing
from benchmarks.models import score as scoring
from benchmarks.models.pages import DOCS, page, write_pages
from benchmarks.models.recipe import RECIPES, load_recipe
from benchmarks.models.train import main, train
from data_prep.build import build
from data_prep.errors import ConfigError, DataError, ModelFileError
from monai_hybrid.bundle_folders import load_config
from monai_hybrid.catalogue.about import problems, read_about
from monai_hybrid.catalogue.entry import entry
from monai_hybrid.catalogue.folder import names, weights_file
from monai_hybrid.command_options import check_names, check_values
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import load_weights, save_weights

RECIPE_NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a training leaves: a model of random weights, and its prepared data."""
    for name in ("images", "labels"):
        (tmp_path / "raw" / name).mkdir(parents=True)
    for i in range(4):
        grey = np.random.default_rng(i).integers(0, 255, (32, 32)).astype(np.uint8)
        Image.fromarray(grey).save(tmp_path / f"raw/images/c{i}.png")
        Image.fromarray((grey > 99).astype(np.uint8)).save(tmp_path / f"raw/labels/c{i}.png")
    build(tmp_path / "raw", tmp_path / "run/prepared", label_names="1=LV", modality="MRI")
    torch.manual_seed(0)
    card = card_of(2, ["LV"])
    save_weights(HybridDiffusionUNet(**card["network"]).state_dict(), tmp_path / "run/models", card)
    (tmp_path / "run/logs").mkdir()
    (tmp_path / "run/logs/run.json").write_text(json.dumps({"revision": "5aa5fec0c2b1"}))
    return tmp_path / "run"


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_a_recipe_has_settings_that_the_command_takes(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    content = load_config("hybrid_pretrain", "train.json")
    texts = {key: str(value) for key, value in recipe.settings.items()}
    check_names(texts, content)
    check_values(texts, content)
    storage = {"dtype": "float16", "voxels_compared": 1, "voxels_differing": 0}
    assert problems(packing.about_of(recipe, tmp_path, storage, ["Someone 2024."])) == []
    assert f"--seed {recipe.seed}" in recipe.command() and recipe.targets


def test_the_recipes_are_those_of_the_package() -> None:
    assert RECIPE_NAMES == ["cardiac_lv_mr", "hippocampus_mr", "universal_2d", "universal_3d"]
    assert load_recipe("hippocampus_mr").licence["weights"] == "CC BY-SA 4.0"
    with pytest.raises(ConfigError, match="no such recipe; expected one of cardiac_lv_mr, "):
        load_recipe("liver")


def test_a_packed_model_is_half_as_large_and_in_the_catalogue(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_DIFFERING", 0.01)  # random weights have no margin anywhere
    file = packing.pack(run, load_recipe("cardiac_lv_mr"), tmp_path / "models")
    assert file.stat().st_size < 0.6 * (run / "models/model.safetensors").stat().st_size
    monkeypatch.setenv("MONAI_HYBRID_MODELS", str(tmp_path / "models"))
    assert names() == ["cardiac_lv_mr"] and weights_file("cardiac_lv_mr") == file
    one = entry("cardiac_lv_mr")
    assert one.card["licence"]["weights"] == "CC0-1.0" and one.about["training"]["commit"] == "5aa5fec0c2b1"
    assert one.about["storage"]["dtype"] == "float16" and one.about["storage"]["voxels_compared"] > 0
    assert len(one.card["reference"]["images"]["quantiles"][0]) == 101
    whole, half = load_weights(run / "models/model.pt"), load_weights("cardiac_lv_mr")
    assert all(torch.allclose(whole[key], half[key], atol=1e-3) for key in whole)
    about = read_about(file.with_suffix(".json"))
    about["scores"]["source_test"] = {"patients": 1, "dice": {"LV": {"mean": 0.5, "interval": None}}}
    file.with_suffix(".json").write_text(json.dumps(about))
    packing.pack(run, load_recipe("cardiac_lv_mr"), tmp_path / "models")
    assert read_about(file.with_suffix(".json"))["scores"] == about["scores"], "scores of the same weights are lost"


def test_masks_that_change_are_stored_whole_or_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "differing", lambda *_: (100, 50))
    file = packing.pack(run, load_recipe("cardiac_lv_mr"), tmp_path / "models")
    assert read_about(file.with_suffix(".json"))["storage"]["dtype"] == "float32"
    monkeypatch.setattr(packing, "LARGEST", 1000)
    with pytest.raises(ModelFileError, match="masks change in half precision"):
        packing.pack(run, load_recipe("cardiac_lv_mr"), tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


def test_a_run_without_its_data_is_refused(run: Path, tmp_path: Path) -> None:
    shutil.rmtree(run / "prepared")
    with pytest.raises(DataError, match="no prepared data set in it; give the one that it was trained on with --data"):
        packing.pack(run, load_recipe("cardiac_lv_mr"), tmp_path / "models")


def test_training_runs_the_command_with_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []
    monkeypatch.setattr("monai_hybrid.pretrain", lambda *a, **s: called.append((a, s)) or a[1], raising=False)
    train(load_recipe("universal_2d"), None, tmp_path / "run")
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    assert main(["universal_2d", "--output", str(tmp_path / "run"), "--max-epochs", "1"]) == 0
    (first, settings), (_, again) = called
    assert first == ("synthetic-2d", tmp_path / "run") and settings["patch_size"] == "[96,96]" and settings["seed"] == 0
    assert again["max_epochs"] == "1" and again["resume"] is True and "resume" not in settings
    with pytest.raises(ConfigError, match="is trained on hippocampus_msd; give that folder with --data"):
        train(load_recipe("hippocampus_mr"), None, tmp_path)


def test_scores_go_into_the_file_about_the_model(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("cardiac_lv_mr")
    packing.pack(run, recipe, tmp_path / "models")
    monkeypatch.setenv("MONAI_HYBRID_MODELS", str(tmp_path / "models"))
    adapted: list[int] = []

    def adapt(data: Path, model: str, out: Path, shots: int, **settings: Any) -> None:
        adapted.append(shots)

    def evaluate(data: Path, model: Any, out: Path) -> None:
        of = {"mean": 0.8, "interval": [0.7, 0.9]}
        out.mkdir(parents=True, exist_ok=True)
        (out / "summary.json").write_text(json.dumps({"patients": 4, "dice": {"all": of, "LV": of}}))

    monkeypatch.setattr("monai_hybrid.adapt", adapt, raising=False)
    monkeypatch.setattr("monai_hybrid.evaluate", evaluate, raising=False)
    target = replace(recipe.targets[0], raw="raw", build={"label_names": "1=LV"})
    scoring.score(replace(recipe, source="raw", build={}, targets=[target]), tmp_path, tmp_path / "scores", (0, 1, 3))
    scores = read_about(tmp_path / "models/cardiac_lv_mr.json")["scores"]
    assert adapted == [1, 3]
    assert scores["source_test"] == {"patients": 4, "dice": {"LV": {"mean": 0.8, "interval": [0.7, 0.9]}}}
    assert [row["labels"] for row in scores["adapted"][0]["shots"]] == [0, 1, 3]
    text = page(entry("cardiac_lv_mr"), picture=False)
    assert "| Left ventricle, cine MRI (ACDC, Dijon) | 3 | LV 0.80 [0.70, 0.90] | 4 |" in text


def test_pages_follow_from_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path / "models", "discs_mr", card_of(2, ["disc"]))
    monkeypatch.setenv("MONAI_HYBRID_MODELS", str(tmp_path / "models"))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/discs_mr.jpg").write_bytes(b"")
    (written,) = write_pages(tmp_path / "docs", pictures=False)
    text = written.read_text()
    assert "# discs_mr: Bright discs" in text and "![Pairs of image and mask" in text
    assert "| its source | - | disc 0.90 [0.88, 0.92] | 12 |" in text and "- Dark discs are not found." in text
    assert "| licence | CC BY-SA 4.0. Name the people who drew the discs. |" in text


def test_the_committed_pages_are_those_of_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONAI_HYBRID_MODELS")
    for name in names():
        assert (DOCS / f"{name}.md").read_text() == page(entry(name), (DOCS / f"{name}.jpg").is_file()), (
            "python -m benchmarks.models.pages"
        )
