"""`monai-hybrid bundle copy`: a bundle of one's own, whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import typed
from warm import run_module

from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.audit.metadata import SCHEMA
from monai_hybrid.bundle_copy import copy_bundle
from monai_hybrid.errors import ConfigError, DataError, EnvironmentFault, ModelFileError
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import read_card, save_weights

ROOT = Path(__file__).parents[1]
NETWORK = {
    "channels": [8, 16],
    "num_res_blocks": 1,
    "attention_levels": [False, False],
    "norm_num_groups": 8,
    "num_head_channels": 8,
}


def model(folder: Path) -> Path:
    """A picture model of two channels and three labels."""
    size: dict[str, Any] = {"spatial_dims": 2, "in_channels": 2, "num_classes": 3}
    card = {
        "format_version": 1,
        "network": {**NETWORK, **size},
        "spatial_dims": 2,
        "channels": ["flair", "t1"],
        "labels": [{"index": i, "value": 5 * i, "name": n} for i, n in enumerate(["background", "lesion", "vessel"])],
        "plan": {"normalization": {"method": "percentiles", "lower": 0.5, "upper": 99.5}},
        "training": {"patch_size": [16, 16], "spacing": [1.0, 1.0]},
    }
    save_weights(HybridDiffusionUNet(**NETWORK, **size).state_dict(), folder, card)
    return folder / "model.pt"


def copy(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return typed("bundle", *words, cwd=cwd)


def test_a_copy_holds_the_model_and_says_its_labels(tmp_path: Path) -> None:
    done = copy("copy", "mine", "--model", model(tmp_path / "model"), cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == "mine: few_shot_finetune, with its model\n", done.stderr
    mine = tmp_path / "mine"
    assert {p.name for p in mine.iterdir()} == {"LICENSE", "configs", "docs", "models"}
    metadata = json.loads((mine / "configs/metadata.json").read_text())
    told = metadata["network_data_format"]
    assert told["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "lesion", "2": "vessel"}
    assert told["inputs"]["image"]["channel_def"] == {"0": "flair", "1": "t1"}
    assert told["inputs"]["image"]["spatial_shape"] == ["16*n", "16*n"]
    words = [
        "verify_net_in_out",
        "network_def",
        "--meta_file",
        "configs/metadata.json",
        "--config_file",
        "configs/inference.json",
    ]
    checked = run_module("monai.bundle", words, mine, {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    assert checked.returncode == 0, checked.stderr[-2000:]
    audited = copy("x", "y", cwd=tmp_path)
    assert audited.returncode == 2 and "bundle x: expected copy. Type: monai-hybrid bundle copy y" in audited.stderr


def test_a_training_of_the_copy_starts_from_its_model_and_writes_into_it(tmp_path: Path) -> None:
    generate(tmp_path / "raw", cases=5, site="A", seed=0, dims=2)
    build(tmp_path / "raw", tmp_path / "data", budget="cpu")
    own = json.loads((ROOT / "bundles/few_shot_finetune/configs/train.json").read_text())
    copy_bundle(tmp_path / "mine", model=model(tmp_path / "model"), data=tmp_path / "data")
    config = json.loads((tmp_path / "mine/configs/train.json").read_text())
    assert {key for key in config if config[key] != own[key]} == {"dataset_dir", "pretrained", "output_dir"}
    assert config["dataset_dir"] == str(tmp_path / "data") and config["output_dir"] == str(tmp_path / "mine")
    assert config["pretrained"] == str(tmp_path / "mine/models/model.safetensors")
    done = typed("audit", tmp_path / "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.raises(ConfigError, match=r"DIR: got .* but MONAI reads # as a separator"):
        copy_bundle(tmp_path / "mine#2", model=tmp_path / "mine/models/model.pt", data=tmp_path / "data")
    with pytest.raises(DataError, match=r"dataset\.json"):
        copy_bundle(tmp_path / "other", data=tmp_path / "raw")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["few_shot_finetune", "hybrid_pretrain"])
def test_without_a_model_the_files_are_the_bundles_own(tmp_path: Path, name: str) -> None:
    copy_bundle(tmp_path / "a/b", name)
    for file in (ROOT / "bundles" / name / "configs").iterdir():
        assert (tmp_path / "a/b/configs" / file.name).read_bytes() == file.read_bytes()
    assert not (tmp_path / "a/b/models").exists()


def test_a_copy_is_still_known_as_ours(tmp_path: Path) -> None:
    from jsonschema import Draft202012Validator

    copy_bundle(tmp_path / "mine", model=model(tmp_path / "model"))
    metadata = json.loads((tmp_path / "mine/configs/metadata.json").read_text())
    assert [e.message for e in Draft202012Validator(SCHEMA).iter_errors(metadata)] == []


def test_the_folder_of_a_run_is_taken_for_its_model(tmp_path: Path) -> None:
    own = model(tmp_path / "run/models")
    copy_bundle(tmp_path / "mine", model=tmp_path / "run")
    card = read_card(tmp_path / "mine/models/model.safetensors")
    assert card == read_card(own) and card is not None and card["channels"] == ["flair", "t1"]


def test_nothing_is_written_over_and_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(ConfigError, match="there: is there already; nothing was copied"):
        copy_bundle(tmp_path / "there")
    with pytest.raises(ConfigError, match="--name: got 'x', expected few_shot_finetune or hybrid_pretrain"):
        copy_bundle(tmp_path / "new", "x")
    with pytest.raises(ModelFileError, match=r"none\.pt: no such model file"):
        copy_bundle(tmp_path / "new", model=tmp_path / "none.pt")
    torch.save({"a": torch.zeros(1)}, tmp_path / "bare.pt")
    with pytest.raises(ModelFileError, match="no card found"):
        copy_bundle(tmp_path / "new", model=tmp_path / "bare.pt")
    (tmp_path / "scan.nii.gz").write_bytes(b"no model")
    with pytest.raises(ModelFileError, match=r"scan\.nii\.gz: no model file but an image; expected \.pt or"):
        copy_bundle(tmp_path / "new", model=tmp_path / "scan.nii.gz")
    (tmp_path / "scan.nii.gz").unlink()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "models/model.pt")

    kept = model(tmp_path / "kept")
    monkeypatch.setattr("monai_hybrid.weights.save_weights", full)
    with pytest.raises(EnvironmentFault, match=r"models/model\.pt: No space left on device; nothing was copied"):
        copy_bundle(tmp_path / "new", model=kept)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bare.pt", "kept", "there"]
