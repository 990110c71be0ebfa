"""What a trained bundle is used for: properties, exports, prediction, evaluation, sampling."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_runs import BUNDLE, ROOT, TINY, run_bundle
from monai.bundle import ConfigWorkflow

from data_prep.files import read_datalist

CONFIGS = BUNDLE / "configs"
SCHEMA = ROOT.parent / "shared/schema/meta_schema_20240725.json"


def monai_bundle(*words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Any command of `python -m monai.bundle`."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


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


def test_metadata_fits_the_schema_offline(tmp_path: Path) -> None:
    if not SCHEMA.is_file():
        pytest.skip("MONAI's metadata schema is not beside the repository")
    placed = tmp_path / "schema.json"
    placed.write_bytes(SCHEMA.read_bytes())
    done = monai_bundle("verify_metadata", "--meta_file", CONFIGS / "metadata.json", "--filepath", placed)
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


def test_the_traced_export_equals_the_network(trained: Path, tmp_path: Path) -> None:
    words = ["--net_id", "network_def", "--filepath", tmp_path / "model.ts", "--ckpt_file", trained / "models/model.pt"]
    words += ["--meta_file", CONFIGS / "metadata.json", "--config_file", CONFIGS / "inference.json"]
    words += [
        "--use_trace",
        True,
        "--input_shape",
        "[1,1,16,16,16]",
        "--bundle_root",
        BUNDLE,
        "--model",
        trained / "models/model.pt",
    ]
    done = monai_bundle("ckpt_export", *words)
    assert done.returncode == 0, done.stderr[-2000:]
    settings = {"bundle_root": str(BUNDLE), "model": str(trained / "models/model.pt")}
    workflow = ConfigWorkflow(str(CONFIGS / "inference.json"), workflow_type="infer", logging_file=False, **settings)
    workflow.parser.parse()
    network = workflow.parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(trained / "models/model.pt", weights_only=True))
    x = torch.randn(2, 1, 24, 16, 32)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(x), network(x), atol=1e-4, rtol=1e-4)


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
    done = run_bundle(CONFIGS / "evaluate.json", dataset_dir=prepared, model=model, output_dir=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    with (tmp_path / "dice.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    cases = read_datalist(prepared / "datalist.json")["testing"]
    assert len(rows) == 3 * len(cases)
    summary = json.loads((tmp_path / "summary.json").read_text())["dice"]
    nucleus = [float(row["dice"]) for row in rows if row["class"] == "nucleus"]
    assert summary["nucleus"]["mean"] == pytest.approx(np.mean(nucleus))


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
