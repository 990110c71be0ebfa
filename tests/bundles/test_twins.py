"""Each bundle is valid alone, so the two share whole files; these must not drift apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bundle_runs import ROOT

BUNDLES = ROOT / "bundles"


def config(bundle: str, name: str) -> dict[str, Any]:
    """A configuration with the bundle's own name and scanner taken out."""
    text = (BUNDLES / bundle / "configs" / name).read_text(encoding="ascii")
    loaded: dict[str, Any] = json.loads(text.replace(bundle, "BUNDLE"))
    for component in (loaded.get("data"), loaded.get("dataset", {}).get("data")):
        if isinstance(component, dict):
            component.pop("site", None)
    return loaded


@pytest.mark.parametrize("name", ["inference.json", "evaluate.json", "multi_gpu_train.json"])
def test_shared_configurations_are_the_same(name: str) -> None:
    assert config("few_shot_finetune", name) == config("hybrid_pretrain", name)


@pytest.mark.parametrize("name", ["deterministic_transforms", "prepare_batch", "inferer", "draws", "dataloader", "trainer"])
def test_shared_parts_of_the_training_are_the_same(name: str) -> None:
    ours, theirs = (config(b, "train.json")["train"][name] for b in ("few_shot_finetune", "hybrid_pretrain"))
    if name == "prepare_batch":
        assert ours.pop("teacher") == "@train#teacher"  # only a fine-tuning has one
    if name == "trainer":  # a fine-tuning counts updates, and its epochs follow; a pretraining counts epochs
        assert theirs.pop("max_epochs") == "$-(-@updates // @updates_per_epoch) if @updates else @max_epochs"
        assert ours.pop("max_epochs") == "@max_epochs"
    text = json.dumps(ours).replace("@origin.plan", "@data.plan")
    assert json.loads(text) == theirs


def test_contrast_randomisation_is_the_same_and_off() -> None:
    trains = [config(bundle, "train.json") for bundle in ("few_shot_finetune", "hybrid_pretrain")]
    blocks = [
        [t for t in train["train"]["random_transforms"] if "contrast_randomisation" in str(t.get("_disabled_"))]
        for train in trains
    ]
    assert blocks[0] == blocks[1] and len(blocks[0]) == 3
    assert [train["contrast_randomisation"] for train in trains] == ["none", "none"]


def test_both_trainings_save_claim_and_stop_alike() -> None:
    ours, theirs = (config(bundle, "train.json") for bundle in ("few_shot_finetune", "hybrid_pretrain"))
    for name in ("plan", "model"):  # of the model it starts from
        ours["checkpoint"][name] = theirs["checkpoint"][name]
    for of in (ours, theirs):  # each with the cases that it trains with
        assert of["run"].pop(0).startswith("$runs.ask_first(@output_dir, @resume, ")
    assert ours["run"].pop(0).startswith("$few_shot.tell_spacing(")  # a pretraining has the plan's
    assert [line for line in ours["run"] if "stopping" in line] == ours["run"][:2]  # only a fine-tuning looks for its length
    ours["run"] = ours["run"][2:]
    for name in ("checkpoint", "checkpoint_interval", "resume", "overwrite", "initialize", "run", "finalize"):
        assert ours[name] == theirs[name]


@pytest.mark.parametrize("bundle", ["few_shot_finetune", "hybrid_pretrain"])
def test_every_setting_of_the_training_is_in_the_documents(bundle: str) -> None:
    known = config(bundle, "train.json")
    settings = [k for k, v in known.items() if not isinstance(v, (dict, list)) and not k.startswith("_")]
    internal = {"bundle_root", "device", "spatial_dims", "num_channels", "num_classes", "rank", "start_file"}
    internal |= {"network_args", "network"}
    documents = [(BUNDLES / b / "docs/README.md").read_text() for b in {bundle, "hybrid_pretrain"}]
    missing = [k for k in settings if k not in internal and not any(f"`{k}`" in text for text in documents)]
    assert missing == []
