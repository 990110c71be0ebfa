"""What a plan says of resampling and grey values reaches training, prediction and evaluation; older cards are as they were."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bundle_runs import BUNDLE, ROOT, run_bundle
from PIL import Image
from prediction_runs import Threshold, model_card, predict, random_model
from typer.testing import CliRunner

from data_prep.cli import app
from monai_hybrid.bundle.preprocessing import image_transforms
from monai_hybrid.transforms import SafeSpacingd
from monai_hybrid.weights import save_weights

RUN = CliRunner()


@pytest.mark.parametrize(("bundle", "plan"), [("hybrid_pretrain", "@data.plan"), ("few_shot_finetune", "@origin.plan")])
def test_every_training_resamples_as_the_plan_says(bundle: str, plan: str) -> None:
    text = (ROOT / f"bundles/{bundle}/configs/train.json").read_text()
    assert text.count("SafeSpacingd") == text.count(f"\"resampling\": \"${plan}.get('resampling', 'sample')\"") == 1


@pytest.mark.parametrize("bundle", ["hybrid_pretrain", "few_shot_finetune"])
@pytest.mark.parametrize("config", ["inference", "evaluate"])
@pytest.mark.parametrize(
    ("plan", "mode"), [({"resampling": "area"}, "area"), ({"resampling": "sample"}, "sample"), ({}, "sample")]
)
def test_every_use_of_a_model_resamples_as_its_card_says(bundle: str, config: str, plan: dict[str, str], mode: str) -> None:
    text = (ROOT / f"bundles/{bundle}/configs/{config}.json").read_text()
    assert text.count("monai_hybrid.bundle.image_transforms") == 1 and "SafeSpacingd" not in text
    card = model_card(3, 2.0, 16)
    card["plan"] |= plan
    (grid,) = [t for t in image_transforms(card, [2.0] * 3).transforms if isinstance(t, SafeSpacingd)]
    assert grid.resampling == mode


@pytest.mark.parametrize(("resampling", "seen"), [("area", {10}), ("sample", {0}), (None, {0})], ids=str)
def test_prediction_averages_when_the_card_says_so(tmp_path: Path, resampling: str | None, seen: set[int]) -> None:
    """A chessboard of single pixels: each second pixel of each second row is black, the mean of all is grey."""
    board = np.indices((64, 64)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "board.png")
    card = model_card(2, 2.0, 16, objective="supervised")
    card["plan"]["normalization"] = {"method": "window", "lower": 0, "upper": 255, "range": [-1, 1]}
    card["plan"] |= {"resampling": resampling} if resampling else {}
    save_weights(Threshold().state_dict(), tmp_path, card)
    settings = {"model": str(tmp_path / "model.pt"), "network_def": {"_target_": "prediction_runs.Threshold"}}
    assert predict(input=tmp_path / "board.png", output_dir=tmp_path / "out", **settings) is None
    (mask,) = (tmp_path / "out").glob("board_seg.*")
    labels = np.asarray(Image.open(mask)) if mask.suffix == ".png" else np.asarray(nib.load(mask).dataobj)
    assert set(np.unique(labels)) == seen and labels.shape[:2] == (64, 64)


def mouse(folder: Path, edge: float) -> Path:
    """A tiny data set of cubic voxels with the classes of `random_model`, prepared."""
    affine = np.diag([edge, edge, edge, 1])
    for i in range(3):
        label = np.zeros((16, 16, 16), np.uint8)
        label[4:8, 4:8, 4:8], label[9:12, 9:12, 9:12] = 10, 20
        grey = np.random.default_rng(i).normal(100, 20, label.shape) + 3 * label
        for kind, array in (("images", grey.astype(np.float32)), ("labels", label)):
            (folder / "raw" / kind).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, affine), folder / f"raw/{kind}/m{i}.nii.gz")
    words = ["--label-names", "10=grey,20=white", "--test-fraction", "0.34", "--val-fraction", "0"]
    done = RUN.invoke(app, ["build", str(folder / "raw"), "--output", str(folder / "prepared"), *words])
    assert done.exit_code == 0, done.output + done.stderr
    unit = "mm^3" if edge < 1 else "ml"
    assert (
        f"grey: in 3 cases, in training {64 * edge**3 / (1 if edge < 1 else 1000):.4g}" in done.output and unit in done.output
    )
    return folder / "prepared"


@pytest.mark.parametrize(
    ("edge", "length", "reason"),
    [(0.15, 0.45, "3 voxels of 0.15 mm, because the usual 2 mm are 13 of them"), (1.5, 2.0, "the usual 2 mm")],
)
def test_evaluation_takes_its_tolerance_from_the_voxels_and_says_so(
    tmp_path: Path, edge: float, length: float, reason: str
) -> None:
    prepared, model = mouse(tmp_path, edge), random_model(tmp_path / "model", spacing=edge)
    out = tmp_path / "out"
    done = run_bundle(BUNDLE / "configs/evaluate.json", dataset_dir=prepared, model=model, output_dir=out, save_slices=False)
    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["nsd_tolerance"], summary["nsd_tolerance_reason"]) == (length, reason)
    assert f"NSD tolerance {length:g} mm: {reason}" in done.stdout + done.stderr
