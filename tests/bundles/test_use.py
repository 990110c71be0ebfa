"""What a trained bundle is used for: properties, exports, prediction, evaluation, sampling."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_runs import BUNDLE, ROOT, TINY, environment, run_bundle
from monai.bundle import ConfigWorkflow
from warm import run_module

from data_prep.files import read_datalist
from monai_hybrid.bundle_copy import copy_bundle
from monai_hybrid.evaluation.case_table import read_cases
from monai_hybrid.evaluation.summary import summarize
from monai_hybrid.weights import load_weights, read_card, save_weights

CONFIGS = BUNDLE / "configs"
SCHEMA = ROOT.parent / "shared/schema/meta_schema_20240725.json"


def monai_bundle(*words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Any command of `python -m monai.bundle`."""
    return run_module("monai.bundle", list(map(str, words)), cwd, environment())


@pytest.mark.parametrize(("config", "kind"), [("train.json", "train"), ("inference.json", "infer"), ("evaluate.json", "infer")])
def test_no_property_is_missing(
    config: str, kind: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    settings = {"dataset_dir": str(prepared), "output_dir": str(tmp_path), "bundle_root": str(BUNDLE)}
    workflow = ConfigWorkflow(str(CONFIGS / config), workflow_type=kind, logging_file=False, **settings)
    workflow.initialize()
    assert workflow.check_properties() == []
    for handlers in ("train#handlers", "validate#handlers", "handlers"):
        if handlers in workflow.parser:
            assert all(isinstance(item, dict) for item in workflow.parser[handlers])


@pytest.mark.parametrize("bundle", ["hybrid_pretrain", "few_shot_finetune"])
def test_metadata_fits_the_schema_offline(bundle: str, tmp_path: Path) -> None:
    if not SCHEMA.is_file():
        pytest.skip("MONAI's metadata schema is not beside the repository")
    placed = tmp_path / "schema.json"
    placed.write_bytes(SCHEMA.read_bytes())
    metadata = ROOT / "bundles" / bundle / "configs/metadata.json"
    done = monai_bundle("verify_metadata", "--meta_file", metadata, "--filepath", placed)
    assert done.returncode == 0 and "metadata is verified with no error" in done.stdout + done.stderr


def test_a_metadata_file_without_version_is_refused(tmp_path: Path) -> None:
    if not SCHEMA.is_file():
        pytest.skip("MONAI's metadata schema is not beside the repository")
    metadata = json.loads((CONFIGS / "metadata.json").read_text())
    del metadata["version"]
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    (tmp_path / "schema.json").write_bytes(SCHEMA.read_bytes())
    done = monai_bundle("verify_metadata", "--meta_file", tmp_path / "metadata.json", "--filepath", tmp_path / "schema.json")
    assert done.returncode != 0 and "'version' is a required property" in done.stdout + done.stderr


@pytest.mark.parametrize("n", [1, 2])
def test_network_input_and_output_are_as_the_metadata_says(n: int) -> None:
    words = ["--net_id", "network_def", "--meta_file", CONFIGS / "metadata.json", "--device", "cpu", "--n", n]
    done = monai_bundle("verify_net_in_out", "--config_file", CONFIGS / "inference.json", *words)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "data shape of network is verified with no error" in done.stdout + done.stderr


@pytest.mark.parametrize("bundle", ["hybrid_pretrain", "few_shot_finetune"])
def test_the_zoo_takes_the_bundle(bundle: str, trained: Path, tmp_path: Path) -> None:
    """What the Model Zoo's check in full mode does: files, version, shapes and TorchScript by scripting, with a model in it."""
    folder = copy_bundle(tmp_path / bundle, bundle)
    shutil.copytree(trained / "models", folder / "models")
    wanted = [
        "LICENSE",
        "docs/README.md",
        "configs/metadata.json",
        "configs/inference.json",
        "configs/logging.conf",
        "models/model.pt",
    ]
    assert [name for name in wanted if not (folder / name).is_file()] == []
    metadata = json.loads((folder / "configs/metadata.json").read_text())
    assert metadata["version"] in metadata["changelog"] and {"monai_version", "pytorch_version"} <= set(metadata)
    common = ["--meta_file", folder / "configs/metadata.json", "--config_file", folder / "configs/inference.json"]
    done = monai_bundle("verify_net_in_out", "network_def", *common, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    exported = [*common, "--net_id", "network_def", "--ckpt_file", "models/model.pt", "--filepath", "models/model.ts"]
    done = monai_bundle("ckpt_export", *exported, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    _same_as_the_network(folder / "models/model.ts", trained)


def test_the_traced_export_equals_the_network(trained: Path, tmp_path: Path) -> None:
    words = ["--net_id", "network_def", "--filepath", tmp_path / "model.ts", "--ckpt_file", trained / "models/model.pt"]
    words += ["--meta_file", CONFIGS / "metadata.json", "--config_file", CONFIGS / "inference.json"]
    words += ["--use_trace", True, "--input_shape", "[1,1,16,16,16]", "--bundle_root", BUNDLE]
    done = monai_bundle("ckpt_export", *words, "--model", trained / "models/model.pt")
    assert done.returncode == 0, done.stderr[-2000:]
    _same_as_the_network(tmp_path / "model.ts", trained)


def _same_as_the_network(exported: Path, trained: Path) -> None:
    settings = {"bundle_root": str(BUNDLE), "model": str(trained / "models/model.pt")}
    workflow = ConfigWorkflow(str(CONFIGS / "inference.json"), workflow_type="infer", logging_file=False, **settings)
    workflow.parser.parse()
    network = workflow.parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(trained / "models/model.pt", weights_only=True))
    x = torch.randn(2, 1, 24, 16, 32)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load(exported)(x), network(x), atol=1e-5, rtol=1e-5)


def test_a_prediction_lies_on_the_grid_of_its_input(prepared: Path, trained: Path, tmp_path: Path) -> None:
    case = read_datalist(prepared / "datalist.json")["testing"][0]
    model = trained / "models/model.pt"
    done = run_bundle(CONFIGS / "inference.json", dataset_dir=case["image"], model=model, output_dir=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    image, mask = nib.load(case["image"]), nib.load(tmp_path / f"{case['case_id']}_seg.nii.gz")
    assert mask.shape == image.shape
    np.testing.assert_allclose(mask.affine, image.affine, atol=1e-4)
    assert mask.get_data_dtype() == np.uint8 and set(np.unique(mask.dataobj)) <= {0, 1, 2, 3}


def test_prediction_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    done = run_bundle(CONFIGS / "inference.json", model=tmp_path / "none.pt", bundle_root=BUNDLE, output_dir=tmp_path)
    assert done.returncode == 4 and "none.pt: no such model file" in done.stderr and "Traceback" not in done.stderr


def test_evaluation_writes_a_row_for_every_case_and_class(prepared: Path, trained: Path, tmp_path: Path) -> None:
    model = trained / "models/model.pt"
    done = run_bundle(CONFIGS / "evaluate.json", dataset_dir=prepared, model=model, output_dir=tmp_path, nsd_tolerance=3)
    assert done.returncode == 0, done.stderr[-3000:]
    rows, summary = read_cases(tmp_path), json.loads((tmp_path / "summary.json").read_text())
    cases = read_datalist(prepared / "datalist.json")["testing"]
    assert len(rows) == 3 * len(cases)
    assert {key: summary[key] for key in ("dice", "nsd", "hd95")} == json.loads(json.dumps(summarize(rows)))
    assert (summary["unit"], summary["nsd_tolerance"], summary["split"]) == ("mm", 3, "testing")
    assert "nucleus: Dice " in done.stdout + done.stderr
    label = nib.load(cases[0]["label"])
    row = next(row for row in rows if row["case_id"] == cases[0]["case_id"] and row["class"] == "cortex")
    voxels = int((np.asarray(label.dataobj) == 1).sum())
    assert row["label_voxels"] == voxels
    assert row["label_ml"] == pytest.approx(voxels * np.prod(label.header.get_zooms()) / 1000, rel=1e-4)


def renamed(prepared: Path, folder: Path, names: list[str]) -> Path:
    """The prepared data set under other names of its classes 1, 2, 3; images and labels stay where they are."""
    folder.mkdir()
    dataset = json.loads((prepared / "dataset.json").read_text())
    new = dict(zip([label["name"] for label in dataset["labels"][1:]], names, strict=True))
    for label in dataset["labels"][1:]:
        label["name"] = new[label["name"]]
    for key in ("foreground_volume", "label_cases"):
        dataset["fingerprint"][key] = {new.get(k, k): v for k, v in dataset["fingerprint"][key].items()}
    (folder / "dataset.json").write_text(json.dumps(dataset))
    (folder / "plan.json").write_bytes((prepared / "plan.json").read_bytes())
    datalist = json.loads((prepared / "datalist.json").read_text())
    for split in ("training", "validation", "testing"):
        for case in datalist[split]:
            case |= {key: str((prepared / case[key]).resolve()) for key in ("image", "label")}
    datalist["testing"] = datalist["testing"][:1]
    (folder / "datalist.json").write_text(json.dumps(datalist))
    return folder


def test_evaluation_matches_classes_by_name(prepared: Path, trained: Path, tmp_path: Path) -> None:
    settings = {"model": trained / "models/model.pt", "output_dir": tmp_path}
    other = renamed(prepared, tmp_path / "other", ["cortex", "nucleus", "tumour"])
    done = run_bundle(CONFIGS / "evaluate.json", dataset_dir=other, **settings)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert "labels are background, cortex, nucleus, tumour" in done.stderr
    assert "was trained on background, cortex, nucleus, ventricle" in done.stderr
    turned = renamed(prepared, tmp_path / "turned", ["nucleus", "cortex", "ventricle"])
    done = run_bundle(CONFIGS / "evaluate.json", dataset_dir=turned, **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    label = np.asarray(nib.load(read_datalist(turned / "datalist.json")["testing"][0]["label"]).dataobj)
    found = {row["class"]: row["label_voxels"] for row in read_cases(tmp_path)}
    assert found == {"cortex": (label == 2).sum(), "nucleus": (label == 1).sum(), "ventricle": (label == 3).sum()}


def test_a_network_that_gives_nan_is_not_scored(prepared: Path, trained: Path, tmp_path: Path) -> None:
    card = read_card(trained / "models/model.safetensors")
    assert card is not None
    weights = load_weights(trained / "models/model.pt")
    weights["out.mask.conv.bias"] = torch.full_like(weights["out.mask.conv.bias"], torch.nan)
    save_weights(weights, tmp_path, card)
    done = run_bundle(
        CONFIGS / "evaluate.json", dataset_dir=prepared, model=tmp_path / "model.pt", output_dir=tmp_path / "eval"
    )
    assert done.returncode == 4 and "the prediction holds NaN or Inf though the image does not" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "eval").exists()


@pytest.mark.parametrize("method", ["ode", "sde"])
def test_sampling_writes_pairs_and_a_sheet(trained: Path, tmp_path: Path, method: str) -> None:
    settings = {"num_samples": 2, "num_inference_steps": 3, "method": method, "output_dir": tmp_path}
    done = run_bundle(CONFIGS / "sample.json", model=trained / "models/model.pt", **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    image, mask = nib.load(tmp_path / "sample_001_image.nii.gz"), nib.load(tmp_path / "sample_001_mask.nii.gz")
    assert image.shape == mask.shape == tuple(json.loads(TINY["patch_size"]))
    np.testing.assert_allclose(image.header.get_zooms(), 4)
    assert (tmp_path / "contact_sheet.png").is_file()
    assert len(json.loads((tmp_path / "samples.json").read_text())["agreement"]) == 2
