"""The Model Zoo's verify_bundle in full mode: files, version, metadata, properties of apps, shapes, TorchScript."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from bundle_runs import ROOT
from monai.bundle import ckpt_export, create_workflow, verify_metadata, verify_net_in_out
from monai.bundle.properties import InferProperties, MetaProperties
from prediction_runs import random_model

from monai_hybrid.bundle_copy import copy_bundle

SCHEMA = ROOT.parent / "shared/schema/meta_schema_20240725.json"
NAMES = pytest.mark.parametrize("name", ["few_shot_finetune", "hybrid_pretrain"])


def zoo_folder(tmp_path: Path, name: str) -> Path:
    """The bundle as it would lie in the zoo's `models/`, with weights."""
    model = random_model(tmp_path / "model", patch=16)
    return copy_bundle(tmp_path / "models" / name, name, model)


def missing_properties(bundle: Path) -> list[str] | None:
    """What the zoo asks of a bundle for each of its supported apps; None where it has none, and nothing is asked."""
    metadata = json.loads((bundle / "configs/metadata.json").read_text())
    if not metadata.get("supported_apps"):
        return None
    workflow = create_workflow(
        workflow_type="inference",
        bundle_root=str(bundle),
        config_file=str(bundle / "configs/inference.json"),
        logging_file=str(bundle / "configs/logging.conf"),
        meta_file=str(bundle / "configs/metadata.json"),
        model=str(bundle / "models/model.pt"),
        output_dir=str(bundle / "eval"),
    )
    workflow.properties = {**MetaProperties, **InferProperties}
    return list(workflow.check_properties() or [])


@NAMES
def test_the_zoo_finds_all_properties_of_an_app(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("monai_hybrid.bundle.data.PHANTOM_CASES", 6)  # it is the data set where none is given
    bundle = zoo_folder(tmp_path, name)
    apps = json.loads((bundle / "configs/metadata.json").read_text())["supported_apps"]
    assert set(apps) == {"monailabel", "monai-fl"} and all(apps.values())
    assert missing_properties(bundle) == []
    config = json.loads((bundle / "configs/inference.json").read_text())
    config["segmenting"] = config.pop("inferer")
    config["evaluator"]["inferer"] = "@segmenting"
    (bundle / "configs/inference.json").write_text(json.dumps(config))
    with pytest.raises(KeyError, match="Property 'inferer' with config ID 'inferer' not in the config"):
        missing_properties(bundle)


@NAMES
def test_the_zoos_full_mode_passes(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = zoo_folder(tmp_path, name)
    for file in ("LICENSE", "configs/metadata.json", "configs/inference.json", "models/model.pt"):
        assert (bundle / file).is_file(), file
    metadata = json.loads((bundle / "configs/metadata.json").read_text())
    assert metadata["version"] in metadata["changelog"]
    where = {"meta_file": str(bundle / "configs/metadata.json"), "config_file": str(bundle / "configs/inference.json")}
    if SCHEMA.is_file():
        (bundle / "eval").mkdir()
        (bundle / "eval/schema.json").write_bytes(SCHEMA.read_bytes())
        verify_metadata(meta_file=where["meta_file"], filepath=str(bundle / "eval/schema.json"))
    given = {"net_id": "network_def", "bundle_root": str(bundle), **where}
    verify_net_in_out(**given)
    script = bundle / "models/verify_model.ts"
    ckpt_export(filepath=str(script), ckpt_file=str(bundle / "models/model.pt"), **given)
    assert torch.jit.load(script)(torch.zeros(1, 1, 16, 16, 16)).shape == (1, 3, 16, 16, 16)
