"""The network is told which scans are the target's: from pretraining to adapting and predicting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import ROOT, run_bundle
from monai.bundle import ConfigParser

from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.engines.replay import Draw
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import load_weights, read_card

PRETRAIN, ADAPT = (ROOT / "bundles" / name / "configs/train.json" for name in ("hybrid_pretrain", "few_shot_finetune"))
QUICK = {"max_epochs": 1, "updates_per_epoch": 2, "picture_interval": 0, "progress_bar": False, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared pictures of two scanners, `a` and `b`, beside the raw ones."""
    made = tmp_path_factory.mktemp("domains")
    for name in "ab":
        generate(made / f"raw_{name}", cases=6, site=name.upper(), seed=1, dims=2)
        build(made / f"raw_{name}", made / name, budget="cpu")
    return made


@pytest.fixture(scope="module")
def source(folder: Path) -> Path:
    """A pretraining that knows the scans of `b`."""
    out = folder / "source"
    more = {"unlabelled_dir": folder / "raw_b/images", "domain_label": True}
    done = run_bundle(PRETRAIN, dataset_dir=folder / "a", output_dir=out, **QUICK, **more)
    assert done.returncode == 0, done.stderr[-3000:]
    return out / "models/model.safetensors"


def content(config: Path, folder: Path, name: str, **settings: Any) -> Any:
    parser = ConfigParser(json.loads(config.read_text()))
    parser.update({"bundle_root": str(config.parents[1]), "output_dir": str(folder), **QUICK, **settings})
    return parser.get_parsed_content(name)


def domains(dataset: Any) -> dict[tuple[bool, bool], set[int]]:
    """(replayed, has a label) -> the domains that the network is told."""
    found: dict[tuple[bool, bool], set[int]] = {}
    for number, case in enumerate(dataset.data):
        (item,) = dataset[Draw(number, 0)]
        found.setdefault((bool(case.get("replayed")), "label" in case), set()).add(item.get("domain", -1))
    return found


@pytest.mark.parametrize("told", [False, True])
def test_scans_of_the_folder_are_the_target_s_in_pretraining(told: bool, folder: Path, tmp_path: Path) -> None:
    datalist = json.loads((folder / "a/datalist.json").read_text())
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for case in (case for cases in datalist.values() if isinstance(cases, list) for case in cases):
        case["image"], case["label"] = (str((folder / "a" / case[key]).resolve()) for key in ("image", "label"))
    own = datalist["training"][0]
    del own["label"]  # without a label, and still the source's
    (mixed / "datalist.json").write_text(json.dumps(datalist))
    for name in ("dataset.json", "plan.json"):
        (mixed / name).write_text((folder / "a" / name).read_text())
    given = {"dataset_dir": str(mixed), "unlabelled_dir": str(folder / "raw_b/images"), "domain_label": told}
    parser = ConfigParser(json.loads(PRETRAIN.read_text()))
    parser.update({"bundle_root": str(PRETRAIN.parents[1]), "output_dir": str(tmp_path), **QUICK, **given})
    dataset = parser.get_parsed_content("train#dataset")
    by_id = {case["case_id"]: dataset[Draw(n, 0)][0].get("domain") for n, case in enumerate(dataset.data)}
    of_target = {case["case_id"] for case in dataset.data} - {case["case_id"] for case in datalist["training"]}
    assert len(of_target) == 6 and own["case_id"] in by_id
    assert {by_id[name] for name in of_target} == ({1} if told else {None})
    assert {domain for name, domain in by_id.items() if name not in of_target} == ({0} if told else {None})
    network = parser.get_parsed_content("network")
    assert (network.num_class_embeds, parser.get_parsed_content("validate#segmenter").network.domain) == (
        (2, 0) if told else (None, -1)
    )


@pytest.mark.long
def test_the_card_keeps_the_domains_and_adapting_goes_on_with_them(source: Path, folder: Path, tmp_path: Path) -> None:
    card = read_card(source)
    assert card is not None and card["network"]["num_domains"] == 2 and "num_domains" not in card["plan"]["network"]
    given = {"dataset_dir": str(folder / "b"), "pretrained": str(source), "shots": 1, "source_replay": str(folder / "a")}
    found = domains(content(ADAPT, tmp_path / "look", "train#dataset", **given, unlabelled=True, objective="hybrid"))
    assert found == {(False, True): {1}, (False, False): {1}, (True, True): {0}}
    done = run_bundle(ADAPT, output_dir=tmp_path / "out", **given, **QUICK)
    assert done.returncode == 0, done.stderr[-3000:]
    adapted = tmp_path / "out/models/model.safetensors"
    assert (read_card(adapted) or {})["network"]["num_domains"] == 2
    assert "100.0% of" in (tmp_path / "out/logs/transfer.txt").read_text()
    for name, tensor in load_weights(adapted).items():
        assert torch.isfinite(tensor).all(), name
    config = "bundles/few_shot_finetune/configs/inference.json"
    masks = run_bundle(config, input=folder / "raw_b/images", model=adapted, output_dir=tmp_path / "masks", device="cpu")
    assert masks.returncode == 0, masks.stderr[-3000:]
    assert len(list((tmp_path / "masks").glob("*_seg.*"))) == 6


def test_a_model_without_domains_is_adapted_without_them(folder: Path, tmp_path: Path) -> None:
    given = {"dataset_dir": str(folder / "b"), "pretrained": "scratch", "shots": 1, "source_replay": str(folder / "a")}
    found = domains(content(ADAPT, tmp_path, "train#dataset", **given))
    assert found == {(False, True): {-1}, (True, True): {-1}}
    assert isinstance(network := content(ADAPT, tmp_path, "network_def", **given), HybridDiffusionUNet)
    assert network.num_class_embeds is None


def test_without_scans_of_a_target_there_is_nothing_to_tell(folder: Path, tmp_path: Path) -> None:
    done = run_bundle(PRETRAIN, dataset_dir=folder / "a", output_dir=tmp_path, domain_label=True, **QUICK)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr[-3000:]
    assert "domain_label: there are no scans of a target to tell from the source's" in done.stderr
    assert not (tmp_path / "models").exists()
