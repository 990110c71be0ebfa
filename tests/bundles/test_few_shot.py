"""few_shot_finetune, as a user runs it: phantom B from a model of phantom A."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import ROOT, TINY, run_bundle
from monai.bundle import ConfigParser, ConfigWorkflow

from data_prep.build import build
from data_prep.phantom import generate
from data_prep.result_files import is_ours
from monai_hybrid.few_shot import stopping
from monai_hybrid.few_shot.stopping import train_fold
from monai_hybrid.quality.folds import read_folds
from monai_hybrid.weights import load_weights, read_card

CONFIGS = ROOT / "bundles/few_shot_finetune/configs"
SHORT = {name: TINY[name] for name in ("max_epochs", "updates_per_epoch", "batch_size", "progress_bar", "picture_interval")}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("target")
    generate(folder / "raw", cases=8, site="B", seed=0)
    build(folder / "raw", folder / "prepared", budget="cpu")
    return folder / "prepared"


@pytest.mark.parametrize(
    "settings",
    [
        {"shots": 1, "ema_decay": 0.1, "warmup_updates": 1},
        {
            "shots": 2,
            "trainable": "low_rank",
            "low_rank": 2,
            "layer_decay": 0.7,
            "contrast_randomisation": "gin",
            "ema_decay": 0.1,
            "warmup_updates": 1,
        },
        {
            "shots": 2,
            "objective": "hybrid",
            "unlabelled_dir": "raw",
            "contrast_randomisation": True,
            "ema_decay": 0.1,
            "warmup_updates": 1,
        },
    ],
    ids=["one-shot", "low-rank", "unlabelled"],
)
def test_adapting_writes_the_model_the_draw_and_the_transfer(
    settings: dict, target: Path, trained: Path, tmp_path: Path
) -> None:
    model = trained / "models/model.safetensors"
    if "unlabelled_dir" in settings:
        settings = {**settings, "unlabelled_dir": target.parent / "raw"}
    done = run_bundle(CONFIGS / "train.json", dataset_dir=target, pretrained=trained, output_dir=tmp_path, **SHORT, **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(json.loads((tmp_path / "shots.json").read_text())["patients"]) == settings["shots"]
    card = read_card(tmp_path / "models/model.safetensors")
    assert card is not None
    assert card["training"]["adapted_from"] == str(model) and card["training"]["shots"] == settings["shots"]
    assert card["training"]["spacing"] == [4, 4, 4], "the plan is that of the pretrained model"
    assert "100.0% of" in done.stdout
    before, after = load_weights(model), load_weights(tmp_path / "models/model.pt")
    assert {name: w.shape for name, w in after.items()} == {name: w.shape for name, w in before.items()}
    moved = {name for name in before if not torch.allclose(before[name], after[name], atol=1e-6)}
    assert {"down_blocks", "up_blocks", "out"} <= {name.split(".")[0] for name in moved}
    low_rank = settings.get("trainable") == "low_rank"
    assert low_rank != any(name.endswith("bias") for name in moved if not name.startswith("out."))
    total = sum(w.numel() for w in after.values())
    assert (card["training"]["trained_weights"] < total / 2) if low_rank else (card["training"]["trained_weights"] == total)
    assert f"training {settings.get('trainable', 'all')}: {card['training']['trained_weights']:,} weights" in done.stdout
    rest = len(json.loads((target / "datalist.json").read_text())["training"]) - 2
    assert card["training"]["unlabelled_cases"] == (rest if "unlabelled_dir" in settings else 0)
    record = json.loads((tmp_path / "logs/history.jsonl").read_text())
    assert ("image" in record) == (settings.get("objective") == "hybrid")


def test_from_scratch_with_the_plan_of_a_model(target: Path, trained: Path, tmp_path: Path) -> None:
    model = trained / "models/model.safetensors"
    settings = {"pretrained": "scratch", "plan_from": model, "output_dir": tmp_path, "shots": 1}
    done = run_bundle(CONFIGS / "train.json", dataset_dir=target, **SHORT, **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    card = read_card(tmp_path / "models/model.safetensors")
    assert card is not None and card["training"]["adapted_from"] is None and card["training"]["spacing"] == [4, 4, 4]


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        ({"shots": 99}, 3, "shots: got 99, expected 1 to"),
        ({"pretrained": "nowhere.safetensors"}, 4, "nowhere.safetensors: no model file with a card"),
        ({"trainable": "encoder"}, 2, "trainable: got 'encoder', expected one of all, decoder, head, low_rank, norm"),
        ({"stopping": "leave_one_out", "shots": 2}, 3, "stopping leave_one_out: got 2 labelled patients, expected at least 3"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    settings: dict, code: int, message: str, target: Path, trained: Path, tmp_path: Path
) -> None:
    settings = {"pretrained": trained / "models/model.safetensors", **settings}
    done = run_bundle(CONFIGS / "train.json", dataset_dir=target, output_dir=tmp_path, **SHORT, **settings)
    assert message in done.stderr and "Traceback" not in done.stderr and done.returncode == code
    assert not (tmp_path / "models").exists()


@pytest.mark.long
def test_leave_one_out_sets_the_epochs_of_the_training(
    target: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, so that the weights that each fold starts from can be seen."""
    monkeypatch.chdir(ROOT)
    starts, epochs = [], []

    def fold(parser: ConfigParser) -> tuple[float, list[float]]:
        network = parser.get_parsed_content("network")
        starts.append({name: w.clone() for name, w in network.state_dict().items()})
        kept, held_out = (
            parser.get_parsed_content("train#draws").sampler.kept,
            parser.get_parsed_content("validate#dataset").data,
        )
        cases = parser.get_parsed_content("train#dataset").data
        assert {draw.case for draw in parser.get_parsed_content("train#draws")} <= set(kept)
        assert not {cases[i]["patient"] for i in kept} & {case["patient"] for case in held_out}
        epochs.append((len(kept), len(held_out)))
        score, curve = train_fold(parser)
        assert not all(torch.equal(w, starts[-1][name]) for name, w in network.state_dict().items()), "the fold trains"
        assert len(curve) == 3 and all(0 <= dice <= 1 for dice in [score, *curve])
        if len(starts) == 3:
            raise KeyboardInterrupt
        return 0.5, [0.2, 0.9, 0.1]

    monkeypatch.setattr(stopping, "train_fold", fold)
    settings = {**SHORT, "max_epochs": 3, "updates_per_epoch": 1, "shots": 3, "stopping": "leave_one_out", "warmup_updates": 1}
    settings |= {"keep_folds": True}
    settings |= {"dataset_dir": str(target), "pretrained": str(trained), "output_dir": str(tmp_path)}

    def run(**further: Any) -> None:
        workflow = ConfigWorkflow(
            str(CONFIGS / "train.json"),
            workflow_type="train",
            logging_file=False,
            bundle_root=str(CONFIGS.parent),
            **settings,
            **further,
        )
        workflow.initialize()
        workflow.run()
        workflow.finalize()

    with pytest.raises(KeyboardInterrupt):
        run()
    assert list((tmp_path / "logs/folds").iterdir()) and not (tmp_path / "logs/leave_one_out.json").exists()
    run(resume=True)
    assert epochs == [(2, 1)] * 4, "two patients train, one validates; the fold that was stopped is trained again"
    source = load_weights(trained / "models/model.pt")
    assert all(torch.equal(start[name], source[name]) for start in starts for name in source)
    record = json.loads((tmp_path / "logs/leave_one_out.json").read_text())
    assert record["epochs"] == record["updates"] == 1 and record["smoothed"] == pytest.approx([0.55, 0.4, 0.5])
    assert list(record["patients"]) == sorted(json.loads((tmp_path / "shots.json").read_text())["patients"])
    card = read_card(tmp_path / "models/model.safetensors")
    assert card is not None and card["training"]["epochs"] == 1 and card["training"]["stopping"] == "leave_one_out"
    folds = read_folds(tmp_path / "models/model.safetensors")
    assert list(folds) == list(record["patients"]) and all(is_ours(file) for file in folds.values())
    weights = [load_weights(file) for file in folds.values()]
    assert all(w.keys() == source.keys() for w in weights)
    assert not all(torch.equal(weights[0][name], weights[1][name]) for name in source), "each fold has its own"
    assert len((tmp_path / "logs/history.jsonl").read_text().splitlines()) == 1, "folds leave no history"


@pytest.mark.parametrize(("config", "kind"), [("train.json", "train"), ("inference.json", "infer"), ("evaluate.json", "infer")])
def test_no_property_is_missing(
    config: str, kind: str, target: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    model = str(trained / "models/model.safetensors")
    settings = {"dataset_dir": str(target), "output_dir": str(tmp_path), "bundle_root": str(CONFIGS.parent)}
    settings |= {"pretrained": model} if kind == "train" else {"model": model}
    workflow = ConfigWorkflow(str(CONFIGS / config), workflow_type=kind, logging_file=False, **settings)
    workflow.initialize()
    assert workflow.check_properties() == []


@pytest.mark.long
def test_pictures_are_adapted_with_every_augmentation(tmp_path: Path) -> None:
    for site, folder in (("A", "source"), ("B", "target")):
        generate(tmp_path / folder, cases=6, site=site, seed=0, dims=2)
    common = {"batch_size": 8, "updates_per_epoch": 6, "max_epochs": 1, "patch_size": "[32,32]", "device": "cpu"}
    common |= {name: TINY[name] for name in ("progress_bar", "picture_interval")}
    pretrain = ROOT / "bundles/hybrid_pretrain/configs/train.json"
    done = run_bundle(pretrain, dataset_dir=tmp_path / "source", output_dir=tmp_path / "first", **common)
    assert done.returncode == 0, done.stderr[-3000:]
    settings = {"pretrained": tmp_path / "first/models/model.safetensors", "shots": 2, "contrast_randomisation": "histogram"}
    done = run_bundle(
        CONFIGS / "train.json", dataset_dir=tmp_path / "target", output_dir=tmp_path / "second", **common, **settings
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert read_card(tmp_path / "second/models/model.safetensors")["spatial_dims"] == 2  # type: ignore[index]
