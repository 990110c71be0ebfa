"""A finished run that is to go on says that it is finished, and is left alone; one that has more to do goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_hybrid.runs.checkpoint import save_checkpoint
from monai_hybrid.runs.finished import Finished
from monai_hybrid.runs.run_folder import claim_run, release, run_length, run_settings
from monai_hybrid.weights import make_card, save_weights

DATASET = {"spatial_dims": 2, "channels": ["grey"], "labels": [{"index": 0, "value": 0, "name": "background"}]}
COMPUTED = {"updates": "$few_shot.updates_for(@cases)", "max_epochs": "$-(-@updates // @updates_per_epoch)"}


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    yield tmp_path / "run"
    release(tmp_path / "run")


def line(tmp_path: Path, config: dict[str, Any], *words: str) -> list[str]:
    (tmp_path / "train.json").write_text(json.dumps({"learning_rate": 0.1, **config}))
    return ["/monai/bundle/__main__.py", "run", "--config_file", str(tmp_path / "train.json"), *words]


def run_that_ended(folder: Path, argv: list[str], done: int = 12, length: bool = True, **training: Any) -> None:
    state = {"update": done, "epoch_length": 4, "max_epochs": 3, "total": 12, "settings": run_settings(argv)}
    save_checkpoint(state | ({"length": run_length(argv)} if length else {}), folder / "checkpoints")
    card = make_card({}, DATASET, {}, {"updates": done, "finished": True, **training})
    save_weights({"w": torch.zeros(1)}, folder / "models", card)


def files(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".run")}


def goes_on(folder: Path, argv: list[str]) -> bool:
    """Whether the run is gone on with; where it is not, no file of it changed."""
    before = files(folder)
    try:
        claim_run(str(folder), resume=True, argv=argv)
    except Finished as said:
        assert f"{folder}: this run is finished, update 12 of 12" in str(said) and said.exit_code == 0
        assert files(folder) == before
        return False
    finally:
        release(folder)
    return True


@pytest.mark.parametrize("length", [True, False], ids=["of now", "of an earlier version"])
@pytest.mark.parametrize(
    ("config", "words", "more"),
    [
        ({"updates": None, "max_epochs": 3}, [], False),
        ({"updates": None, "max_epochs": 3}, ["--updates", "12"], False),
        ({"updates": None, "max_epochs": 3}, ["--updates", "13"], True),
        ({"updates": None, "max_epochs": 3}, ["--max_epochs", "2"], False),
        ({"updates": None, "max_epochs": 3}, ["--max_epochs", "4"], True),
        (COMPUTED, [], False),
        (COMPUTED, ["--updates", "5"], False),
        (COMPUTED, ["--max-epochs", "4"], True),
    ],
)
def test_nothing_changes_unless_there_is_more_to_do(
    config: dict[str, Any], words: list[str], more: bool, length: bool, folder: Path, tmp_path: Path
) -> None:
    run_that_ended(folder, line(tmp_path, config), length=length)
    assert goes_on(folder, line(tmp_path, config, *words)) is more


def test_leave_one_out_ends_where_its_folds_say(folder: Path, tmp_path: Path) -> None:
    """Twelve updates of the twenty that it may have: as many as the folds chose."""
    words = line(tmp_path, COMPUTED, "--updates", "20")
    run_that_ended(folder, words)
    assert not goes_on(folder, words) and goes_on(folder, line(tmp_path, COMPUTED, "--updates", "40"))


@pytest.mark.parametrize(
    "training", [{"finished": False}, {"updates": 8}], ids=["killed at its end", "a model of fewer updates"]
)
def test_an_end_that_was_not_reached_is_done_again(training: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    words = line(tmp_path, {"max_epochs": 3})
    run_that_ended(folder, words, **training)
    assert goes_on(folder, words)


def test_a_model_that_is_gone_or_damaged_is_written_again(folder: Path, tmp_path: Path) -> None:
    words = line(tmp_path, {"max_epochs": 3})
    run_that_ended(folder, words)
    (folder / "models/model.safetensors").write_bytes(b"no model")
    assert goes_on(folder, words)
    (folder / "models/model.safetensors").unlink()
    (folder / "models/model.pt").unlink()
    assert goes_on(folder, words)
