"""The demonstration writes into the bundle's folder, real data never; an installed bundle is never written to."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from monai_hybrid.bundle import real_data
from monai_hybrid.bundle.real_data import refuse_phantom_model, refuse_phantom_start
from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.errors import ConfigError, EnvironmentFault, ModelFileError
from monai_hybrid.results_folder import data_folder, results_folder

COMMAND = ["/python/monai/bundle/__main__.py", "run"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle in a repository, and a process that runs it."""
    monkeypatch.setattr(sys, "argv", COMMAND)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundles/few_shot/configs").mkdir(parents=True)
    return tmp_path / "bundles/few_shot"


def test_real_data_go_to_runs_and_the_demonstration_into_the_bundle(root: Path, tmp_path: Path) -> None:
    assert results_folder(str(root)) == str(root)
    assert results_folder(str(root), None, "eval") == f"{root}/eval"
    assert results_folder(str(root), str(tmp_path / "my data")) == "runs/few_shot_my_data"
    assert results_folder(str(root), "scan.nii.gz", "eval") == "runs/few_shot_scan/eval"
    assert results_folder(str(root), ".") == f"runs/few_shot_{tmp_path.name}"
    assert results_folder(str(root), str(root / "models/model.pt"), "eval/samples") == f"{root}/eval/samples"
    assert data_folder("raw", "out", str(root)) == "out" and data_folder(None, "out", str(root)) == str(root)


def test_a_refused_evaluation_of_a_prepared_data_set_leaves_no_folder(root: Path, tmp_path: Path) -> None:
    (tmp_path / "datalist.json").write_text("{}")
    assert data_folder(str(tmp_path), "out", str(root)) is None
    (tmp_path / "out").mkdir()
    assert data_folder(str(tmp_path), "out", str(root)) == "out"


def test_an_application_that_uses_monais_workflow_keeps_its_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["label_server"])
    assert results_folder(str(root), "/data") == str(root)


def test_an_installed_or_locked_bundle_is_not_written_to(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages/monai_hybrid/_bundles/few_shot"
    installed.mkdir(parents=True)
    assert results_folder(str(installed)) == "runs/few_shot" and data_folder(None, "out", str(installed)) == "out"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert results_folder(str(root), None, "eval") == "runs/few_shot/eval" and data_folder(None, "out", str(root)) == "out"


def test_real_data_without_a_model_are_refused_with_what_to_type() -> None:
    known = {"origin": {}, "shots": 3}
    with pytest.raises(ConfigError, match=r"--dataset_dir d: no model to adapt was given. Give --pretrained runs/source/"):
        refuse_phantom_start({"dataset_dir": "d"}, known)
    for given in ({}, {"dataset_dir": "d", "pretrained": "m"}, {"dataset_dir": "d", "pretrained": "scratch"}):
        refuse_phantom_start(given, known)
    refuse_phantom_start({"dataset_dir": "d"}, {"shots": 3})


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (None, "models/model.pt is not there. Give --model"),
        ({"source": "phantom_A"}, "trained on the built-in phantom, not on"),
    ],
)
def test_the_demonstrations_model_is_not_used_on_real_data(
    card: Any, message: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_data, "read_card", lambda path: card)
    known = {"card": {}, "model": ""}
    for given in ({"input": "scan.nii.gz"}, {"dataset_dir": "d"}):
        with pytest.raises(ModelFileError, match=message):
            refuse_phantom_model(given, known, str(root))
        refuse_phantom_model({**given, "model": "m"}, known, str(root))
    refuse_phantom_model({}, known, str(root))
    refuse_phantom_model({"dataset_dir": "d"}, {"card": {}}, str(root))  # a training
    monkeypatch.setattr(real_data, "read_card", lambda path: {"source": "hospital"})
    refuse_phantom_model({"input": "scan.nii.gz"}, known, str(root))


def test_the_bundles_are_found_in_the_repository_and_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import monai_hybrid.bundle_folders as module

    assert bundle_folder("hybrid_pretrain").parent.name == "bundles"
    package = tmp_path / "site-packages/monai_hybrid"
    monkeypatch.setattr(module, "PACKAGE", package)
    with pytest.raises(EnvironmentFault, match=r"the bundles are not there; the installation is incomplete. Type: pip install"):
        bundle_folder("hybrid_pretrain")
    inside = package / "_bundles/hybrid_pretrain/configs"
    inside.mkdir(parents=True)
    (inside / "metadata.json").write_text("{}")
    assert bundle_folder("hybrid_pretrain") == inside.parent
