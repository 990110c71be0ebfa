"""From random shapes to a model of a data set of another spacing, as a user types it: volumes, grey and colour pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import typed
from PIL import Image
from test_picture_runs import TINY, raw

from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.weights import read_card

SMALL = (*TINY, "--picture_interval", "0")


def pretrained(word: str, out: Path, *more: str) -> Path:
    done = typed("pretrain", "--data", word, "--output", out, *SMALL, *more)
    assert done.returncode == 0, done.stderr[-2000:]
    return out / "models/model.safetensors"


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrained("synthetic-2d", tmp_path_factory.mktemp("flat"), "--patch_size", "[32,32]")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["colour.png", pytest.param("grey.png", marks=pytest.mark.slow)])
def test_pictures_take_their_own_plan_and_the_weights_of_the_shapes(flat: Path, kind: str, tmp_path: Path) -> None:
    build(raw(tmp_path / "raw", kind), tmp_path / "prepared")
    done = typed("adapt", "--data", tmp_path / "prepared", "--model", flat, "--shots", 2, "--output", tmp_path / "run", *SMALL)
    assert done.returncode == 0, done.stderr[-2000:]
    plan = json.loads((tmp_path / "prepared/plan.json").read_text())
    card = read_card(tmp_path / "run/models/model.safetensors")
    assert card is not None and "universal" not in card["plan"]
    assert card["plan"]["spacing"] == plan["spacing"] and card["training"]["patch_size"] == plan["patch_size"]
    assert card["plan"]["normalization"] == plan["normalization"]
    report = json.loads((tmp_path / "run/logs/transfer.json").read_text())
    assert report["share"] > 0.95 and report["source"] == str(flat)
    done = typed(
        "predict", tmp_path / "raw/images", "--model", tmp_path / "run/models/model.pt", "--output", tmp_path / "masks"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert np.asarray(Image.open(tmp_path / "masks/case0_seg.png")).shape == (24, 16)


@pytest.mark.long
def test_volumes_of_another_spacing_adapt_from_shapes(tmp_path: Path) -> None:
    model = pretrained("synthetic", tmp_path / "shapes", "--patch_size", "[16,16,16]")
    card = read_card(model)
    assert (
        card is not None
        and card["plan"]["universal"] is True
        and [label["name"] for label in card["labels"]][1:3] == ["blob", "tube"]
    )
    generate(tmp_path / "raw", cases=6, site="B", seed=0)
    build(tmp_path / "raw", tmp_path / "prepared")
    small = ("--patch_size", "[16,16,16]", "--spacing", "[4,4,4]")
    done = typed(
        "adapt", "--data", tmp_path / "prepared", "--model", model, "--shots", 1, "--output", tmp_path / "run", *SMALL, *small
    )
    assert done.returncode == 0, done.stderr[-2000:]
    adapted = read_card(tmp_path / "run/models/model.safetensors")
    assert adapted is not None and adapted["training"]["spacing"] == [4, 4, 4] and "universal" not in adapted["plan"]


@pytest.mark.long
def test_a_run_on_shapes_goes_on(flat: Path) -> None:
    pretrained("synthetic-2d", flat.parents[1], "--patch_size", "[32,32]", "--max_epochs", "2", "--resume", "True")
    told = [json.loads(line) for line in (flat.parents[1] / "logs/history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in told] == [1, 2]


def test_shapes_are_to_pretrain_on(tmp_path: Path) -> None:
    done = typed("adapt", "--data", "synthetic", "--model", "scratch", "--output", tmp_path / "run")
    assert done.returncode == 2
    assert "--data synthetic: random shapes are for pretraining alone. Give a data set of your own" in done.stderr
    assert not (tmp_path / "run").exists()
