"""From files to results: large label values, other voxel orders, names in capitals; scans told from masks; channels joined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bundle_runs import BUNDLE
from command_line import printed
from monai.bundle import ConfigWorkflow
from PIL import Image
from prediction_runs import NETWORK, model_card, predict, quality, random_model, threshold_model, visible
from small_plan import with_small_network

from monai_hybrid.bundle.cases import cases_to_predict
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.evaluation.case_table import read_cases
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import save_weights

NEAR = (312782628, 312782632)  # one float32 stands for both
AFFINE = np.diag([-1.0, 1.0, 2.0, 1.0])
SHAPE = (16, 17, 12)


def nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine, dtype=array.dtype)
    image.set_qform(affine, 1)
    plain = path.with_name("made.nii.gz")
    nib.save(image, plain)
    return plain.rename(path)


def indices(seed: int) -> np.ndarray:
    """Class 0, 1, 2 by place, another for each seed."""
    label = np.zeros(SHAPE, int)
    label[2 : 7 + seed % 3, 3:9, 2:6], label[9:14, 6:14, 5 : 10 + seed % 2] = 1, 2
    return label


def grey(label: np.ndarray, seed: int) -> np.ndarray:
    """Dark, middle, bright by class, with a little noise."""
    return np.asarray(label * 100 + np.random.default_rng(seed).normal(0, 5, label.shape), np.float32)


def stored(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The voxels with first and last axis exchanged and one reversed, and the affine that keeps them at their place."""
    step = np.array([[0, 0, -1.0, SHAPE[0] - 1], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    return array.transpose(2, 1, 0)[:, :, ::-1], AFFINE @ step


@pytest.fixture(scope="module")
def odd_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six cases, .Nii.gz, atlas identifiers as uint32, labels in another voxel order and called _seg."""
    root = tmp_path_factory.mktemp("odd")
    for seed in range(6):
        nifti(root / f"raw/images/c{seed}.Nii.gz", grey(indices(seed), seed))
        values = np.array([0, *NEAR], np.uint32)[indices(seed)]
        nifti(root / f"raw/labels/c{seed}_seg.NII.GZ", *stored(values))
    said = printed("prepare", root / "raw", "--output", root / "prepared", "--label-names", f"{NEAR[0]}=grey,{NEAR[1]}=white")
    assert "paired by their names without '_seg'" in said and "D412 note" in said
    return with_small_network(root / "prepared")


def evaluate(**settings: Any) -> None:
    root = BUNDLE.parent / "few_shot_finetune"
    given = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
    config = str(root / "configs/evaluate.json")
    workflow = ConfigWorkflow(config, workflow_type="train", logging_file=False, bundle_root=str(root), **given)
    workflow.initialize()
    workflow.run()


def test_evaluation_scores_each_class_of_each_voxel(odd_set: Path, tmp_path: Path) -> None:
    settings = threshold_model(tmp_path / "model", window=(0.0, 200.0))
    evaluate(dataset_dir=odd_set, output_dir=tmp_path / "eval", split="training", spacing=[1.0, 1.0, 2.0], **settings)
    rows = {(row["case_id"], row["class"]): row for row in read_cases(tmp_path / "eval")}
    assert len(rows) == 8
    for (case_id, name), row in rows.items():
        truth = indices(int(case_id[1])) == ("grey", "white").index(name) + 1
        assert row["label_voxels"] == truth.sum() and row["dice"] > 0.99, row


@pytest.mark.long
def test_training_and_prediction_from_the_command_line(odd_set: Path, tmp_path: Path) -> None:
    tiny = [
        "--max_epochs",
        1,
        "--updates_per_epoch",
        2,
        "--batch_size",
        2,
        "--patch_size",
        "[16,16,8]",
        "--progress_bar",
        False,
    ]
    printed("pretrain", "--data", odd_set, "--output", tmp_path / "run", "--spacing", "[1,1,2]", *tiny)
    model = tmp_path / "run/models/model.pt"
    last = json.loads((tmp_path / "run/logs/history.jsonl").read_text().splitlines()[-1])
    assert last
    said = printed("evaluate", "--data", odd_set, "--model", model, "--output", tmp_path / "eval", "--save_slices", "True")
    assert "grey: Dice" in said
    rows = {(row["case_id"], row["class"]): row["label_voxels"] for row in read_cases(tmp_path / "eval")}
    assert rows and all(n == (indices(int(case[1])) == ("grey", "white").index(c) + 1).sum() for (case, c), n in rows.items())
    printed("predict", odd_set.parent / "raw", "--model", model, "--output", tmp_path / "masks")
    for seed in range(6):
        mask = nib.load(tmp_path / f"masks/c{seed}_seg.nii.gz")
        np.testing.assert_array_equal(mask.affine, AFFINE)
        assert mask.shape == SHAPE and set(np.unique(mask.dataobj)) <= {0, *NEAR}
    assert {row["status"] for row in quality(tmp_path / "masks").values()} == {"done"}


def test_masks_carry_large_values_exactly(tmp_path: Path) -> None:
    card = model_card(3, 1.0, 16, objective="supervised")
    for label, value in zip(card["labels"], (0, *NEAR), strict=True):
        label["value"] = value
    card["plan"]["normalization"] = {"method": "window", "lower": 0.0, "upper": 200.0, "range": [-1, 1]}
    settings = threshold_model(tmp_path / "model")
    import torch

    save_weights(torch.load(tmp_path / "model/model.pt", weights_only=True), tmp_path / "model", card)
    nifti(tmp_path / "in/x.Nii.GZ", grey(indices(0), 0))
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings) is None
    mask = np.asarray(nib.load(tmp_path / "out/x_seg.nii.gz").dataobj)
    assert mask.dtype == np.int32
    np.testing.assert_array_equal(np.unique(mask), [0, *NEAR])
    assert (mask == np.array([0, *NEAR])[indices(0)]).mean() > 0.99


def two_channel_model(folder: Path) -> Path:
    card = model_card(3, 1.0, 16)
    card["channels"], card["network"] = ["T1", "T2"], {**card["network"], **NETWORK, "in_channels": 2}
    save_weights(HybridDiffusionUNet(**card["network"]).state_dict(), folder, card)
    return folder / "model.pt"


def test_two_channel_files_are_one_case(tmp_path: Path) -> None:
    model, data = two_channel_model(tmp_path / "model"), tmp_path / "data"
    for case in ("a", "b"):
        for index in (0, 1):
            nifti(data / f"imagesTs/{case}_000{index}.nii.gz", grey(indices(index), index))
    (data / "imagesTs/b_0001.nii.gz").unlink()
    (data / "labelsTs").mkdir()
    said = printed("predict", data, "--model", model, "--output", tmp_path / "out", expected=3)
    assert "the model takes 2 channels, and these are missing: T2 (b_0001.nii.gz)" in said
    rows = quality(tmp_path / "out")
    assert set(rows) == {"a", "b"} and rows["a"]["mask"] == "a_seg.nii.gz" and rows["b"]["status"] == "failed"
    assert nib.load(tmp_path / "out/a_seg.nii.gz").shape == SHAPE
    assert predict(input=data / "imagesTs/a_0001.nii.gz", model=model, output_dir=tmp_path / "one") is None
    assert (tmp_path / "one/a_seg.nii.gz").read_bytes() == (tmp_path / "out/a_seg.nii.gz").read_bytes()


def test_channels_of_other_grids_are_refused_by_name(tmp_path: Path) -> None:
    model = two_channel_model(tmp_path / "model")
    nifti(tmp_path / "in/a_0000.nii.gz", grey(indices(0), 0))
    nifti(tmp_path / "in/a_0001.nii.gz", *stored(grey(indices(0), 1)))
    assert isinstance(predict(input=tmp_path / "in", model=model, output_dir=tmp_path / "out"), DataError)
    said = quality(tmp_path / "out")["a"]["error"]
    assert "stored in another voxel order" in said and "Bring one of the two channels onto the grid of the other" in said


def test_a_second_run_into_the_folder_of_the_scans_changes_nothing(tmp_path: Path) -> None:
    model = random_model(tmp_path / "model", spacing=2.0)
    nifti(tmp_path / "in/x.nii.gz", grey(indices(0), 0))
    assert predict(input=tmp_path / "in", model=model, output_dir=tmp_path / "in", save_entropy=True) is None
    before = {path.name for path in (tmp_path / "in").iterdir()}
    said = printed("predict", tmp_path / "in", "--model", model, "--output", tmp_path / "in", "--save_entropy", "True")
    assert "2 masks or maps that this tool wrote (x_entropy.nii.gz, x_seg.nii.gz)" in said and "1 skipped" in said
    assert {path.name for path in (tmp_path / "in").iterdir()} - {"run.json", "logs"} == before and set(
        quality(tmp_path / "in")
    ) == {"x"}
    (tmp_path / "in/x_seg.nii.gz").rename(tmp_path / "in/called_otherwise.nii.gz")
    assert [case["case_id"] for case in cases_to_predict(str(tmp_path / "in"), "")] == ["x"]


def test_pictures_and_their_masks_in_one_folder(tmp_path: Path) -> None:
    model = random_model(tmp_path / "model", dims=2, spacing=1.0)
    (tmp_path / "in").mkdir()
    Image.fromarray(np.clip(grey(indices(0), 0)[:, :, 4], 0, 255).astype(np.uint8)).save(tmp_path / "in/x.png")
    for _ in range(2):
        assert predict(input=tmp_path / "in", model=model, output_dir=tmp_path / "in", output_postfix="found") is None
    assert visible(tmp_path / "in") == ["quality.csv", "x.png", "x_found.png"]


def test_masks_go_into_the_folder_above_the_scans(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(made := tmp_path / "made.png")
    (tmp_path / "scans").mkdir()
    scan = made.rename(tmp_path / "scans/x.png")
    found = cases_to_predict(str(tmp_path / "scans"), str(tmp_path), leave_out=str(tmp_path))
    assert [case["image"] for case in found] == [str(scan)]


def test_labels_beside_images_are_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("x", "x_seg", "labels/x", "sub/y"):
        nifti(tmp_path / f"in/{name}.nii.gz", grey(indices(0), 0))
    assert [case["case_id"] for case in cases_to_predict(str(tmp_path / "in"), "")] == ["y", "x"]
    assert "left out: 1 in folders of labels (x.nii.gz); 1 masks beside their image (x_seg.nii.gz)" in caplog.text


def test_a_lone_file_called_a_mask_is_taken_when_it_is_named(tmp_path: Path) -> None:
    path = nifti(tmp_path / "in/foo_seg.nii.gz", grey(indices(0), 0))
    with pytest.raises(DataError, match=r"no scan found; left out: 1 called masks by their names \(foo_seg.nii.gz\)") as told:
        cases_to_predict(str(tmp_path / "in"), "")
    assert f"give the file itself: --input {path}" in str(told.value)
    assert cases_to_predict(str(path), "") == [{"image": str(path), "case_id": "foo_seg"}]


def test_the_folder_of_a_training_is_none_of_scans(tmp_path: Path) -> None:
    """Its pictures were segmented, or refused for their colours."""
    for part in ("models", "logs"):
        (tmp_path / "my run" / part).mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "my run/logs/pictures.png")
    with pytest.raises(ConfigError, match=r"a training, whose pictures are no scans\. .* predict IMAGES --model '.*my run'"):
        cases_to_predict(str(tmp_path / "my run"), str(tmp_path / "out"))
    (tmp_path / "my run/logs").rename(tmp_path / "my run/scans")  # a folder called models alone makes no training
    assert [case["case_id"] for case in cases_to_predict(str(tmp_path / "my run"), str(tmp_path / "out"))] == ["pictures"]
