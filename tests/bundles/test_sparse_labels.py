"""A few annotated slices a volume, from the raw files to a score: nothing is typed again after `build`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_runs import ROOT, TINY, run_bundle
from monai.bundle import ConfigParser
from PIL import Image

from data_prep.build import build
from data_prep.ignoring import IGNORED
from data_prep.phantom import generate
from monai_hybrid.bundle.data import read_prepared
from monai_hybrid.bundle.reference import CardReference
from monai_hybrid.engines.replay import Draw

FORMS = ("volume", "grey", "colour", "channels")
IGNORE = 255


def sparse(label: np.ndarray) -> np.ndarray:
    """The label in every fifth slice of its last axis, 255 elsewhere."""
    found = np.full(label.shape, IGNORE, np.uint8)
    found[..., ::5] = label[..., ::5]
    return found


def raw(folder: Path, form: str) -> Path:
    """Three cases of one form, their labels sparse."""
    generator = np.random.default_rng(0)
    names = ("imagesTr", "labelsTr") if form == "channels" else ("images", "labels")
    for name in names:
        (folder / name).mkdir(parents=True)
    size = (32, 24) if form in ("grey", "colour") else (20, 16, 15)
    for i in range(3):
        label = np.zeros(size, np.uint8)
        label[tuple(slice(5 + i, 12) for _ in size)] = 1
        image = (label * 100 + generator.integers(0, 100, size)).astype(np.uint8)
        if form in ("grey", "colour"):
            Image.fromarray(image if form == "grey" else np.stack([image] * 3, -1)).save(folder / f"images/c{i}.png")
            Image.fromarray(sparse(label)).save(folder / f"labels/c{i}.png")
            continue
        affine = np.diag([1.0, 1.0, 2.0, 1.0])
        files = [f"imagesTr/c{i}_{n:04d}" for n in range(2)] if form == "channels" else [f"images/c{i}"]
        for number, file in enumerate(files):
            nib.save(nib.Nifti1Image(image.astype(np.int16) + 7 * number, affine), folder / f"{file}.nii.gz")
        nib.save(nib.Nifti1Image(sparse(label), affine), folder / f"{names[1]}/c{i}.nii.gz")
    if form == "channels":
        labels = {"background": 0, "organ": 1, "ignore": IGNORE}
        content = {"channel_names": {"0": "T1", "1": "T2"}, "labels": labels, "file_ending": ".nii.gz"}
        (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def annotate_all(folder: Path) -> None:
    """Pictures' labels with background for all that nobody annotated."""
    for file in (folder / "labels").iterdir():
        array = np.asarray(Image.open(file))
        Image.fromarray(np.where(array == IGNORE, 0, array).astype(np.uint8)).save(file)


@pytest.fixture(scope="module", params=FORMS)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sparse")
    form: str = request.param
    build(raw(folder / "raw", form), folder / "out", ignore_label=None if form == "channels" else IGNORE)
    return folder / "out"


def content(target: Path, bundle: str, name: str, tmp_path: Path, **settings: Any) -> Any:
    """An entry of a bundle's train.json, made."""
    parser = ConfigParser()
    parser.read_config(str(ROOT / f"bundles/{bundle}/configs/train.json"))
    parser.update({"dataset_dir": str(target), "output_dir": str(tmp_path), "device": "$torch.device('cpu')", **settings})
    return parser.get_parsed_content(name)


@pytest.mark.parametrize("bundle", ["hybrid_pretrain", "few_shot_finetune"])
def test_a_patch_holds_annotated_voxels_and_minus_one(bundle: str, target: Path, tmp_path: Path) -> None:
    start = {"pretrained": "scratch"} if bundle == "few_shot_finetune" else {}
    dataset = content(target, bundle, "train#dataset", tmp_path, cache_rate=0.0, num_workers=0, augment=False, **start)
    for seed in range(6):
        (item,) = dataset[Draw(seed % 3, seed)]
        values = set(item["label"].unique().tolist())
        assert IGNORED in values and values <= {IGNORED, 0, 1} and values != {IGNORED} and item["has_label"] == 1
    assert read_prepared(target).num_classes == 2


@pytest.mark.parametrize("sparse_target", [True, False])
def test_what_lies_beyond_a_replayed_image_goes_by_its_own_labels(sparse_target: bool, tmp_path: Path) -> None:
    """Pictures smaller than a patch: one set is annotated in part, the other whole."""
    sets = {}
    for name in ("sparse", "whole"):
        folder = raw(tmp_path / name, "grey")
        if name == "whole":
            annotate_all(folder)
        build(folder, tmp_path / f"{name}_prepared", ignore_label=IGNORE if name == "sparse" else None)
        sets[name] = tmp_path / f"{name}_prepared"
    target, source = (sets["sparse"], sets["whole"]) if sparse_target else (sets["whole"], sets["sparse"])
    settings = {"pretrained": "scratch", "source_replay": str(source), "cache_rate": 0.0, "augment": False}
    dataset = content(target, "few_shot_finetune", "train#dataset", tmp_path, **settings, patch_size=[64, 64])
    for number, case in enumerate(dataset.data):
        (item,) = dataset[Draw(number, 0)]
        here = bool(case.get("replayed")) != sparse_target
        assert (IGNORED in item["label"].unique()) == here, case["case_id"]
    assert {bool(case.get("replayed")) for case in dataset.data} == {True, False}


def test_the_card_knows_no_volume_that_nobody_saw_whole(target: Path, tmp_path: Path) -> None:
    data = read_prepared(target)
    assert all(case["ignore_value"] == IGNORE for case in data.training)
    reference = CardReference(data.dataset, data.training, [], str(tmp_path), "cpu")
    assert reference.volumes["structures"] == {}


def test_a_whole_set_knows_nothing_of_it(tmp_path: Path) -> None:
    folder = raw(tmp_path / "raw", "grey")
    annotate_all(folder)
    build(folder, tmp_path / "out")
    data = read_prepared(tmp_path / "out")
    assert all("ignore_value" not in case for case in data.training)
    (item,) = content(tmp_path / "out", "hybrid_pretrain", "train#dataset", tmp_path / "run", cache_rate=0.0)[Draw(0, 0)]
    assert int(item["label"].min()) == 0


@pytest.mark.slow  # a training for each fold
def test_three_slices_a_volume_are_adapted_with_and_scored(trained: Path, tmp_path: Path) -> None:
    generate(tmp_path / "raw", cases=6, site="B", seed=0)
    for file in (tmp_path / "raw/labels").iterdir():
        volume = nib.load(file)
        nib.save(nib.Nifti1Image(sparse(np.asarray(volume.dataobj)), volume.affine), file)
    build(tmp_path / "raw", tmp_path / "out", ignore_label=IGNORE, test_fraction=0.4, val_fraction=0.0)
    few_shot = ROOT / "bundles/few_shot_finetune/configs"
    short = {name: TINY[name] for name in ("max_epochs", "updates_per_epoch", "batch_size", "progress_bar")}
    settings = {**short, "stopping": "leave_one_out", "objective": "hybrid", "cache_dir": tmp_path / "cache"}
    run = tmp_path / "run"
    done = run_bundle(few_shot / "train.json", dataset_dir=tmp_path / "out", pretrained=trained, output_dir=run, **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (run / "logs/pictures.png").is_file() and json.loads((run / "logs/leave_one_out.json").read_text())["dice"] >= 0
    model = run / "models/model.pt"
    done = run_bundle(few_shot / "evaluate.json", dataset_dir=tmp_path / "out", model=model, output_dir=tmp_path / "eval")
    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads((tmp_path / "eval/summary.json").read_text())
    assert summary["partly_annotated"]["cases"] == 2 and summary["dice"]["all"]["n"] == 2 and summary["nsd"]["all"]["n"] == 0
    done = run_bundle(few_shot / "inference.json", input=tmp_path / "raw/images", model=model, output_dir=tmp_path / "masks")
    assert done.returncode == 0, done.stderr[-3000:]
    for file in (tmp_path / "masks").glob("*_seg.nii.gz"):
        assert set(np.unique(np.asarray(nib.load(file).dataobj))) <= {0, 1, 2, 3}
    assert torch.load(model, weights_only=True), "the head has K rows and no more"
