"""MONAI FL trains and evaluates the bundles: what a server sends is what is used, whatever files lie on the disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import BUNDLE
from monai.bundle import ConfigWorkflow
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems, WeightType
from monai.fl.utils.exchange_object import ExchangeObject

from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.weights import load_weights

Weights = dict[str, torch.Tensor]
SMALL = {
    "max_epochs": 2,
    "updates_per_epoch": 2,
    "batch_size": 2,
    "spacing": [8, 8],
    "patch_size": [16, 16],
    "picture_interval": 0,
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slices")
    generate(folder / "raw", cases=6, site="A", seed=0, dims=2)
    build(folder / "raw", folder / "prepared", budget="cpu", val_fraction=0.2, test_fraction=0.2)
    return folder / "prepared"


@pytest.fixture(autouse=True)
def _hook_of_errors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # a bundle's start replaces it
    yield


def client(data: Path, out: Path, evaluate: str = "configs/train.json", **settings: Any) -> MonaiAlgo:
    """A client of MONAI FL, initialised; it evaluates with its training configuration, or with evaluate.json."""
    given = {"bundle_root": str(BUNDLE), "dataset_dir": str(data), "output_dir": str(out)}
    trains = {**given, **SMALL, "progress_bar": False, "picture_interval": 0}
    alone = evaluate.endswith("evaluate.json")
    algo = MonaiAlgo(
        str(BUNDLE),
        send_weight_diff=False,
        train_kwargs=dict(trains),
        config_evaluate_filename=[evaluate],
        eval_kwargs={**given, **settings} if alone else dict(trains),
        eval_workflow_name="infer" if alone else "train",
    )
    algo.initialize({ExtraItems.CLIENT_NAME: "hospital"})
    return algo


def zeros(like: Weights) -> ExchangeObject:
    return ExchangeObject(weights={name: torch.zeros_like(w) for name, w in like.items()}, weight_type=WeightType.WEIGHTS)


def all_zero(weights: Weights) -> bool:
    return all(not bool(weight.any()) for weight in weights.values())


def test_a_client_evaluates_and_trains_with_the_weights_that_were_sent(pictures: Path, tmp_path: Path) -> None:
    algo = client(pictures, tmp_path)
    own = {name: weight.clone() for name, weight in algo.get_weights().weights.items()}
    found = algo.evaluate(zeros(own))
    assert found.metrics["val_mean_dice"] == 0 and all_zero(algo.evaluator.network.state_dict())  # background everywhere
    assert set(algo.evaluator.network.state_dict()) == set(own)
    algo.train(zeros(own))
    trained = algo.get_weights().weights
    assert set(trained) == set(own) and not all_zero(trained)
    # Two updates of 0.001 from zero: both the weights and their average, which is saved, are close to it.
    for weights in (trained, load_weights(tmp_path / "models/model.pt")):
        assert max(float(weight.abs().max()) for weight in weights.values()) < 0.02
    algo.train(ExchangeObject(weights=own))
    assert any(float((weight - own[name]).abs().max()) > 0 for name, weight in algo.get_weights().weights.items())
    saved = load_weights(tmp_path / "models/model.pt")
    assert max(float((weight - own[name]).abs().max()) for name, weight in saved.items()) < 0.02
    algo.finalize()


def test_a_file_on_the_disk_never_replaces_what_was_sent(pictures: Path, tmp_path: Path) -> None:
    before = client(pictures, tmp_path)
    before.train(ExchangeObject(weights=before.get_weights().weights))
    model = tmp_path / "models/model.safetensors"
    algo = client(pictures, tmp_path / "second", evaluate="configs/evaluate.json", model=str(model))
    for _ in range(2):  # also in a second round
        found = algo.evaluate(zeros(load_weights(model)))
        assert all_zero(algo.evaluator.network.state_dict())
        assert set(found.metrics.values()) == {0.0}
        assert set(found.metrics) == {f"val_{name}" for name in ("mean_dice", "dice_cortex", "dice_nucleus", "dice_ventricle")}
    assert not all_zero(load_weights(model))


def test_without_weights_sent_the_file_is_read_in_every_run(pictures: Path, tmp_path: Path) -> None:
    algo = client(pictures, tmp_path)
    algo.train(ExchangeObject(weights=algo.get_weights().weights))
    model = tmp_path / "models/model.pt"
    settings = {"bundle_root": str(BUNDLE), "dataset_dir": str(pictures), "output_dir": str(tmp_path / "eval")}
    workflow = ConfigWorkflow(
        str(BUNDLE / "configs/evaluate.json"), logging_file=False, workflow_type="infer", model=str(model), **settings
    )
    workflow.initialize()
    for _ in range(2):
        workflow.run()
        expected, used = load_weights(model), workflow.evaluator.network.state_dict()  # type: ignore[attr-defined]
        assert all(torch.equal(used[name], weight) for name, weight in expected.items())
        torch.save({name: 0.9 * weight for name, weight in expected.items()}, model)
