"""`few_shot_finetune` without a label: the weights are the original's, bit for bit, unless the safety stop lets them go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import ROOT
from monai.bundle import ConfigParser, ConfigWorkflow
from prediction_runs import model_card, random_model

from data_prep.phantom import generate
from monai_hybrid.commands import training_command
from monai_hybrid.few_shot import safety_stop
from monai_hybrid.few_shot.safety_stop import ADAPTED, ORIGINAL, Verdict
from monai_hybrid.weights import load_weights, read_card, save_weights

BUNDLE = ROOT / "bundles/few_shot_finetune"
BUNDLES = ROOT / "bundles"
CONFIGS = [str(BUNDLE / "configs" / name) for name in ("train.json", "without_labels.json")]
VOLUMES = {"unit": "pixels", "structures": {"grey": {"min": 1, "max": 9, "cases": 3}}}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    generate(folder, cases=5, site="B", seed=0, dims=2)
    return folder


def adapt(scans: Path, model: Path, out: Path, **settings: Any) -> None:
    given: dict[str, Any] = {"max_epochs": 1, "updates_per_epoch": 2, "batch_size": 2, "warmup_updates": 0, "ema_decay": 0.1}
    given |= {"device": "cpu", "num_workers": 0, "progress_bar": False, "picture_interval": 0, "learning_rate": 0.01}
    workflow = ConfigWorkflow(
        CONFIGS, workflow_type="train", logging_file=False, bundle_root=str(BUNDLE), shots=0, unlabelled_dir=str(scans),
        pretrained=str(model), output_dir=str(out), **{**given, **settings},
    )  # fmt: skip
    workflow.initialize()
    workflow.run()
    workflow.finalize()


def unmoved(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name, weight in before.items() if torch.equal(weight, after[name])}


@pytest.mark.parametrize(("kept", "taught"), [(ORIGINAL, True), (ADAPTED, True), (ADAPTED, False)])
def test_the_model_that_is_kept_is_the_one_that_the_stop_says(
    kept: str, taught: bool, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    model = random_model(tmp_path / "m", dims=2, spacing=4.0, patch=16)
    save_weights(load_weights(model), tmp_path / "m", {**model_card(2, 4.0, 16), "reference": {"volumes": VOLUMES}})
    real = safety_stop.decide

    def decided(*given: Any) -> Verdict:
        assert real(*given).kept in (ORIGINAL, ADAPTED) and given[2] == (not taught)
        return Verdict(kept, ["because"], {"agreement": (0.1, 0.2)})

    monkeypatch.setattr(safety_stop, "decide", decided)
    adapt(scans, model, tmp_path / "out", self_training=taught)
    before, after = load_weights(model), load_weights(tmp_path / "out/models/model.pt")
    same = unmoved(before, after)
    card = read_card(tmp_path / "out/models/model.safetensors")
    assert card is not None and card["training"]["objective"] == "hybrid", "both heads stay trained"
    assert card["training"]["safety_stop"] == {"kept": kept, "reasons": ["because"], "agreement": [0.1, 0.2], "scans": 1}
    assert card["training"]["unlabelled_cases"] == 4 and card["training"]["shots"] == 0
    assert card["labels"] == model_card(2, 4.0, 16)["labels"] and card["reference"]["volumes"] == VOLUMES
    record = json.loads((tmp_path / "out/logs/safety_stop.json").read_text())
    assert record["kept"] == kept and set(record["cases"][0]) == {"case_id", "before", "after"}
    if kept == ORIGINAL:
        assert same == set(before)
    elif taught:
        assert len(same) < len(before) / 2
    else:
        moved = set(before) - same
        assert moved and all("norm" in name or name.startswith("out.0.") for name in moved)


def test_the_command_line_takes_the_second_configuration_for_no_labels_alone() -> None:
    alone, few = (training_command("few_shot_finetune", {"shots": n}, {}, report=True) for n in ("0", "1"))
    assert str(CONFIGS[1]) in alone.words[4] and str(CONFIGS[1]) not in few.words[4]


@pytest.mark.parametrize("bundle", ["few_shot_finetune", "hybrid_pretrain"])
def test_the_handler_that_saves_takes_its_card_by_name(bundle: str) -> None:
    handlers = ConfigParser.load_config_file(BUNDLES / bundle / "configs/train.json")["train"]["handlers"]
    (saver,) = [handler for handler in handlers if handler["_target_"].endswith("WeightsSaver")]
    assert {name: saver[name] for name in ("settings", "interval", "reference")} == {
        "settings": "@card#settings",
        "interval": "@card#interval",
        "reference": "@card#reference",
    }


def test_no_configuration_reaches_for_a_handler_by_its_number() -> None:
    for path in BUNDLES.glob("*/configs/*.json"):
        assert not [key for key in ConfigParser.load_config_file(path) if "handlers#" in key], path
