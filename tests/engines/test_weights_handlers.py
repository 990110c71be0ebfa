"""Saving and loading in a run: the averaged weights, with a card that is JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from engine_samples import Watch, copy_of, make_trainer, same, silent, square, tiny_network
from ignite.engine import Events
from ignite.handlers import EMAHandler

from monai_hybrid.engines import WeightsLoader, WeightsSaver
from monai_hybrid.errors import ConfigError, ModelFileError
from monai_hybrid.weights import load_weights, read_card, save_weights

DATASET = {
    "spatial_dims": 2,
    "channels": ["photograph"],
    "labels": [{"index": 0, "value": 0, "name": "background"}, {"index": 1, "value": 255, "name": "square"}],
    "modality": "other",
    "name": "squares",
}
NETWORK = {"spatial_dims": 2, "in_channels": 1, "num_classes": 2, "channels": [8, 16]}


def saver(model: Any, folder: Path, **changes: Any) -> WeightsSaver:
    return WeightsSaver(model, str(folder), NETWORK, DATASET, {"patch_size": [16, 16]}, {"objective": "hybrid"}, **changes)


def test_the_average_is_what_is_saved(tmp_path: Path) -> None:
    network = tiny_network()
    ema = EMAHandler(network, momentum=0.1)
    trainer = make_trainer([square(i) for i in range(8)], [saver(ema.ema_model, tmp_path), ema], epochs=2, network=network)
    trainer.run()
    for name in ("model.pt", "model.safetensors"):
        saved = load_weights(tmp_path / name)
        assert same(saved, ema.ema_model.state_dict())
        assert not same(saved, network.state_dict())


def test_the_card_describes_the_model(tmp_path: Path) -> None:
    metrics = {"val_mean_dice": 0.5, "val_dice_per_class": torch.tensor([0.25, math.nan]), "val_loss": math.inf}
    validator = SimpleNamespace(state=SimpleNamespace(metrics=metrics))
    network = tiny_network()
    make_trainer(
        [square(i) for i in range(8)], [saver(network, tmp_path, validator=validator)], epochs=2, network=network
    ).run()
    card = read_card(tmp_path / "model.pt")
    assert card is not None
    json.dumps(card, allow_nan=False)
    assert card["network"] == NETWORK and card["labels"] == DATASET["labels"] and card["channels"] == ["photograph"]
    assert card["spatial_dims"] == 2 and card["source"] == "squares" and card["plan"] == {"patch_size": [16, 16]}
    assert card["training"] == {
        "objective": "hybrid",
        "updates": 4,
        "epochs": 2,
        "validation": {"val_mean_dice": 0.5, "val_dice_per_class": [0.25, None], "val_loss": None},
        "finished": True,
    }
    assert {"monai_hybrid", "monai", "torch", "pytorch-ignite"} == card["versions"].keys()
    assert "arXiv:2408.03433" in card["citation"][0]


@pytest.mark.parametrize("interval", [0, -1, 1.5, None])
def test_an_interval_that_is_none_is_refused(interval: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"card#interval: got .*, expected a whole number of epochs >= 1"):
        saver(tiny_network(), tmp_path, interval=interval)


def test_it_saves_at_its_interval_and_at_the_end(tmp_path: Path) -> None:
    network, saved = tiny_network(), []

    def note(engine: Any) -> None:
        card = read_card(tmp_path / "model.pt")
        saved.append(card["training"]["epochs"] if card else None)

    handlers = [saver(network, tmp_path, interval=2), Watch(Events.EPOCH_COMPLETED, note), Watch(Events.COMPLETED, note)]
    make_trainer([square(0)], handlers, epochs=3, network=network).run()
    assert saved == [None, 2, 2, 3]


def test_only_the_first_process_saves(tmp_path: Path) -> None:
    for rank in (1, 0):
        make_trainer([square(0)], [saver(tiny_network(), tmp_path, rank=rank)]).run()
        assert (tmp_path / "model.pt").is_file() == (rank == 0)


def test_the_loader_loads_when_the_run_starts(tmp_path: Path) -> None:
    source, network = tiny_network(), tiny_network()
    save_weights(source.state_dict(), tmp_path, {})
    seen = []
    watch = Watch(Events.STARTED, lambda engine: seen.append(same(copy_of(network.state_dict()), source.state_dict())))
    trainer = make_trainer([square(0)], [WeightsLoader(network, str(tmp_path / "model.pt")), watch], network=network)
    assert not same(network.state_dict(), source.state_dict())
    trainer.run()
    assert seen == [True]


def test_a_missing_model_ends_the_run_with_its_name(tmp_path: Path) -> None:
    network = tiny_network()
    trainer = make_trainer([square(0)], [WeightsLoader(network, str(tmp_path / "none.pt"))], network=network)
    with silent(), pytest.raises(ModelFileError, match=r"none\.pt: no such model file"):
        trainer.run()
