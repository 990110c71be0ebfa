"""nnU-Net itself in a study: what it is given, what it is asked, and how its masks are scored. nnU-Net is not needed here."""

from __future__ import annotations

import json
import os
import shutil
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny_study import TINY, runner, tiny

from benchmarks.label_efficiency import nnunet, records
from benchmarks.label_efficiency.nnunet_layout import NAME, read_masks, write_raw
from data_prep.resampling import AREA, SAMPLE
from monai_hybrid.errors import DataError, EnvironmentFault
from monai_hybrid.few_shot.shots import draw_shots

STAND_IN = """#!{python}
# Stands in for nnU-Net's three commands: plans, trains nothing, and predicts the bright voxels.
import json, os, sys
from pathlib import Path
name, words = Path(sys.argv[0]).name, sys.argv[1:]
print(name, *words)
results = Path(os.environ["nnUNet_results"], "Dataset501_Study", "nnUNetTrainerMinutes__nnUNetPlans__3d_fullres")
if name == "nnUNetv2_train":
    (results / "fold_all").mkdir(parents=True)
    plan = dict(patch_size=[8, 8, 8], batch_size=2, normalization_schemes=["Z"])
    plan["architecture"] = dict(arch_kwargs=dict(features_per_stage=[4]))
    (results / "plans.json").write_text(json.dumps(dict(configurations={{"3d_fullres": plan}})))
    told = dict(updates=20, cpu_seconds=60 * float(os.environ["NNUNET_MINUTES"]))
    (results / "fold_all/minutes.json").write_text(json.dumps(told))
if name == "nnUNetv2_predict":
    import nibabel as nib, numpy as np
    out = Path(words[words.index("-o") + 1])
    out.mkdir()
    for file in sorted(Path(words[words.index("-i") + 1]).iterdir()):
        image = nib.load(file)
        mask = (np.asarray(image.dataobj) > 0.5).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, image.affine), out / file.name.replace("_0000.", "."))
"""


def item(name: str, size: tuple[int, ...], channels: int = 1) -> dict[str, Any]:
    """A case as a CaseStore gives it; the label is 1 in one corner."""
    generator = torch.Generator().manual_seed(len(name))
    label = torch.zeros(1, *size)
    label[(0, *[slice(0, 2)] * len(size))] = 1
    return {"case_id": name, "image": torch.rand(channels, *size, generator=generator), "label": label}


@pytest.mark.parametrize(("size", "channels"), [((6, 5, 4), 1), ((6, 5, 4), 2), ((6, 5), 1), ((6, 5), 3)])
def test_the_layout_holds_images_labels_and_spacing(tmp_path: Path, size: tuple[int, ...], channels: int) -> None:
    training, test = [item("../name of a patient", size, channels)], [item("b", size, channels), item("c", size, channels)]
    write_raw(tmp_path, training, test, ["whole thing"], [2.0, 3.0, 4.0][: len(size)])
    files = sorted(str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*.nii.gz"))
    parts = [("imagesTr", 1), ("imagesTs", 2)]
    images = [f"{part}/case_{n:04d}_{c:04d}.nii.gz" for part, of in parts for n in range(of) for c in range(channels)]
    assert files == sorted([*images, "labelsTr/case_0000.nii.gz"])
    about = json.loads((tmp_path / "dataset.json").read_text())
    assert about["labels"] == {"background": 0, "whole thing": 1} and about["numTraining"] == 1
    assert list(about["channel_names"]) == [str(c) for c in range(channels)]
    image = nib.load(tmp_path / f"imagesTr/case_0000_{channels - 1:04d}.nii.gz")
    assert image.header.get_zooms() == ((2, 3, 4) if len(size) == 3 else (2, 3, 999))
    stored = np.asarray(image.dataobj).reshape(size)
    assert np.allclose(stored, training[0]["image"][channels - 1])
    label = np.asarray(nib.load(tmp_path / "labelsTr/case_0000.nii.gz").dataobj)
    assert label.dtype == np.uint8 and label.sum() == 2 ** len(size)


@pytest.mark.parametrize("size", [(6, 5, 4), (6, 5)])
def test_masks_come_back_in_the_order_of_the_cases(tmp_path: Path, size: tuple[int, ...]) -> None:
    items = [item("b", size), item("a", size)]
    for number, of in enumerate(items):
        mask = np.full(size, number + 1, np.uint8)
        nib.save(
            nib.Nifti1Image(mask[..., None] if len(size) == 2 else mask, np.eye(4)), tmp_path / f"case_{number:04d}.nii.gz"
        )
        of["label"] = torch.full((1, *size), float(number + 1))
    masks = read_masks(tmp_path, items)
    assert [mask.shape for mask in masks] == [size, size] and [mask.max() for mask in masks] == [1, 2]
    assert nnunet.scored(masks, items, 3) == {"b": [1.0, 1.0], "a": [1.0, 1.0]}
    assert nnunet.scored(masks[::-1], items, 3) == {"b": [0.0, 0.0], "a": [0.0, 0.0]}


def test_a_missing_mask_and_one_of_another_size_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nnU-Net left no mask of b"):
        read_masks(tmp_path, [item("b", (6, 5, 4))])
    nib.save(nib.Nifti1Image(np.zeros((6, 5, 3), np.uint8), np.eye(4)), tmp_path / "case_0000.nii.gz")
    with pytest.raises(DataError, match=r"\(6, 5, 3\) voxels, expected \(6, 5, 4\)"):
        read_masks(tmp_path, [item("b", (6, 5, 4))])


def test_without_nnunet_it_says_what_to_type(tmp_path: Path) -> None:
    told = "python -m venv nnunet && nnunet/bin/pip install nnunetv2, then --nnunet nnunet/bin/python"
    with pytest.raises(EnvironmentFault, match=told):
        nnunet.require_nnunet(tmp_path / "python")
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(EnvironmentFault, match="no Python that has nnU-Net"):
        nnunet.require_nnunet(tmp_path / "python")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for nnU-Net's environment: its Python says a version, its commands do next to nothing."""
    folder = tmp_path_factory.mktemp("bin")
    programs = {name: STAND_IN.format(python=sys.executable) for name in ("plan_and_preprocess", "train", "predict")}
    for name, text in {**{f"nnUNetv2_{k}": v for k, v in programs.items()}, "python": "#!/bin/sh\necho 2.8.1\n"}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder / "python"


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny study as a file."""
    path = tmp_path_factory.mktemp("file") / "tiny.json"
    path.write_text(json.dumps(TINY))
    return path


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory, environment: Path, study_file: Path) -> list[str]:
    """A command line."""
    folder = tmp_path_factory.mktemp("runs")
    return ["--study", str(study_file), "--nnunet", str(environment), "--output_dir", str(folder), "--minutes", "2"]


@pytest.fixture(scope="module")
def finished(words: list[str]) -> Path:
    """The folder of the study after one run."""
    assert nnunet.main([*words, "--shots", "1", "--draws", "1", "--resampling", SAMPLE]) == 0
    return Path(words[words.index("--output_dir") + 1]) / "tiny"


@pytest.mark.long
def test_a_run_has_the_draws_and_the_test_patients_of_the_study(finished: Path, tmp_path: Path) -> None:
    data = nnunet.opened(tiny(), finished, finished, SAMPLE)
    (row,) = records.read(finished / "nnunet.jsonl")
    drawn = draw_shots(data.pool, 1, 0, str(tmp_path))
    assert row["patients"] == sorted({case["patient"] for case in drawn}) and row["cases"] == len(drawn)
    assert list(row["dice"]) == [case["case_id"] for case in data.test]
    assert (row["version"], row["updates"], row["minutes"], row["resampling"]) == ("2.8.1", 20, 2.0, SAMPLE)
    images = finished / "draw0_shots1/raw" / NAME / "imagesTs"
    assert len(list(images.iterdir())) == len(data.test)
    expected = data.target_store.of(data.test)[0]["image"]
    assert np.asarray(nib.load(images / "case_0000_0000.nii.gz").dataobj).shape == tuple(expected.shape[1:])
    assert "dice" not in records.read_json(finished / "nnunet.json")[0]


def test_the_commands_are_nnunets_own(finished: Path) -> None:
    lines = (finished / "draw0_shots1/nnunet.log").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "nnUNetv2_predict"]
    assert lines[1].split()[1:] == ["501", "3d_fullres", "all", "-tr", "nnUNetTrainerMinutes", "-device", "cpu"]


def test_results_are_kept_and_resumed(finished: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert nnunet.main([*words, "--shots", "1"]) == 2
    assert "results are there already; add --resume" in capsys.readouterr().err
    assert nnunet.main([*words, "--shots", "1", "--resume"]) == 0
    assert len(records.read(finished / "nnunet.jsonl")) == 1
    assert nnunet.main([*words[:-1], "3", "--resume"]) == 2
    assert "holds runs of 2 minutes on cpu; expected 3 on cpu" in capsys.readouterr().err


def test_a_command_that_fails_names_its_log(tmp_path: Path, environment: Path) -> None:
    args = Namespace(device="cpu", minutes=1.0, nnunet=environment)
    with pytest.raises(EnvironmentFault, match=r"nnUNetv2_predict ended with code 1; what it said: .*nnunet.log"):
        nnunet.work(tmp_path, "3d_fullres", args)  # there are no images to predict


def test_the_environment_has_one_thread_and_no_foreign_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = nnunet.environment(tmp_path, 5.0)
    assert "PYTHONPATH" not in found and found["HOME"] == os.environ["HOME"]
    assert (found["OMP_NUM_THREADS"], found["nnUNet_n_proc_DA"], found["NNUNET_MINUTES"]) == ("1", "1", "5.0")
    assert (Path(found["nnUNet_extTrainer"]) / "minutes.py").is_file()


def test_our_own_arms_run_on_the_volumes_too(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.label_efficiency.runner.worst_cases", lambda *_: None)
    shutil.copytree(finished / "data", tmp_path / "data")
    assert runner(tmp_path, tiny(arms=["hybrid"], shots=[1], learning_rates=[0.01])).work() == 0
    (row,) = records.read(tmp_path / "results.jsonl")
    assert set(row["dice"]) == set(records.read(finished / "nnunet.jsonl")[0]["dice"]) and row["updates"] == 2


def test_the_grid_is_made_as_asked(finished: Path) -> None:
    assert nnunet.opened(tiny(), finished, finished, None).origin.plan["resampling"] == AREA
    assert nnunet.opened(tiny(), finished, finished, SAMPLE).origin.plan["resampling"] == SAMPLE


def test_the_table_sets_arms_of_the_same_patients_beside_it() -> None:
    runs = [
        {"arm": "hybrid", "draw": 0, "shots": 1, "patients": ["p"], "mean": 0.5},
        {"arm": "hybrid", "draw": 0, "shots": 1, "patients": ["p"], "mean": 0.7},
        {"arm": "hybrid", "draw": 1, "shots": 1, "patients": ["other"], "mean": 0.9},
    ]
    dice = {"a": [0.2], "b": [0.4]}
    rows = [
        {"shots": 1, "draw": d, "patients": ["p"], "dice": dice, "mean": 0.3, "updates": 9, "cpu_seconds": 90} for d in (0, 1)
    ]
    lines = nnunet.table(rows, {"a": "x", "b": "y"}, runs, ["hybrid"]).splitlines()
    assert lines[0] == "| labels | draw | nnU-Net | hybrid | updates | minutes |"
    assert lines[2] == "| 1 | 0 | 0.300 [0.200, 0.400] | 0.600 | 9 | 1.5 |"
    assert lines[3] == "| 1 | 1 | 0.300 [0.200, 0.400] | - | 9 | 1.5 |"
