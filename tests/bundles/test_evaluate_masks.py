"""`monai-hybrid evaluate --masks`: masks of any program are scored as those of a model are, in all forms of data."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from command_line import printed
from PIL import Image

from data_prep.build import build

SIZE = (12, 10, 8)
INSIDE, ALONG = (slice(2, 8), slice(2, 8), slice(2, 6)), 6  # the structure, and its length along the first axis
DICE = (ALONG - 1) / ALONG  # of a structure with itself, one voxel further


def volume(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        nib.save(nib.Nifti1Image(array, np.diag([1.0, 2.0, 3.0, 1.0])), path)
    else:
        Image.fromarray(np.moveaxis(array, 0, 1)).save(path)


def made(folder: Path, kind: str) -> tuple[Path, Path]:
    """A prepared data set of four cases, and the masks: labels of value 7, masks of value 1, one voxel further along x."""
    raw, masks, rng = folder / "raw", folder / "masks", np.random.default_rng(0)
    flat = kind in ("grey", "colour")
    size, inside, end = (SIZE[:2], INSIDE[:2], ".png") if flat else (SIZE, INSIDE, ".nii.gz")
    for i in range(4):
        label = np.zeros(size, np.uint8)
        label[inside] = 7
        for channel in ("_0000", "_0001") if kind == "channels" else ("",):
            colours = (3,) if kind == "colour" else ()
            image = rng.integers(0, 200, (*size, *colours)).astype(np.uint8 if flat else np.int16)
            volume(raw / f"images/c{i}{channel}{end}", image)
        volume(raw / f"labels/c{i}{end}", label)
        volume(masks / f"c{i}_pred{end}", np.roll(label > 0, 1, axis=0).astype(np.uint8))
    if kind == "channels":
        names = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "organ": 7}, "file_ending": ".nii.gz",
                 "numTraining": 4}  # fmt: skip
        (raw / "images").rename(raw / "imagesTr")
        (raw / "labels").rename(raw / "labelsTr")
        (raw / "dataset.json").write_text(json.dumps(names))
    build(raw, folder / "data", label_names=None if kind == "channels" else "7=organ")
    if kind == "structures":
        (masks / "organ").mkdir()
        for mask in masks.glob("*.nii.gz"):
            mask.rename(masks / "organ" / mask.name)
    return folder / "data", masks


def scores(folder: Path) -> list[float]:
    with (folder / "cases.csv").open(newline="") as file:
        return [float(row["dice"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("kind", ["volumes", "grey", "colour", "channels", "structures"])
def test_masks_are_scored_in_all_forms_of_data(kind: str, tmp_path: Path) -> None:
    data, masks = made(tmp_path, kind)
    words: Sequence[object] = ("evaluate", "--data", data, "--masks", masks, "--output", tmp_path / "eval", "--split", "all")
    told = printed(*words, "--mask-labels", "1=organ")
    assert scores(tmp_path / "eval") == pytest.approx([DICE] * 4, abs=1e-5)
    assert "monai-hybrid compare" in told and "OTHER" in told
    summary = json.loads((tmp_path / "eval/summary.json").read_text())
    assert summary["masks"] == str(masks) and summary["split"] == "all" and "model" not in summary
    assert summary["unit"] == ("pixels" if kind in ("colour", "grey") else "mm") and summary["cases"] == 4
    assert str(masks) in (tmp_path / "eval/report.html").read_text()


def test_what_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    data, masks = made(tmp_path, "grey")
    words = ("evaluate", "--data", data, "--masks", masks, "--output", tmp_path / "eval", "--split", "all")
    assert "hold values that are not classes, the first is 1; expected 0, 7. Say what" in printed(*words, expected=3)
    assert "saw '1': ''. Type: --mask-labels" in printed(*words, "--mask-labels", "1", expected=2)
    assert "--mask-labels: MONAI reads # as a separator" in printed(*words, "--mask-labels", "1=organ#1", expected=2)
    assert "did you mean leave_out" in printed(*words, "--without-mask", "leave-out", expected=2)
    (masks / "c1_pred.png").unlink()
    assert "no mask of 1 of 4 cases: c1. To score the others alone" in printed(*words, expected=3)
    assert not (tmp_path / "eval/cases.csv").exists() and not (tmp_path / "eval/report.html").exists()
    assert "expected one of them" in printed(*words, "--model", "m.pt", expected=2)
    assert "To score masks that lie in files: --masks FOLDER" in printed(*words[:3], *words[5:], expected=2)
    assert "--overlap: goes with --model alone" in printed(*words, "--overlap", "0.2", expected=2)
    assert "this folder holds the masks" in printed(*words[:5], "--output", masks, expected=2)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/trust.json").touch()
    assert "this folder holds trust.json" in printed(*words[:5], "--output", tmp_path / "run", expected=2)
    assert "--output: the path is empty" in printed(*words[:5], "--output", "", expected=2)
    alone = (*words[:3], "--model", "m.pt", *words[5:])
    assert "--mask-labels: goes with --masks alone" in printed(*alone, "--mask-labels", "1=organ", expected=2)
