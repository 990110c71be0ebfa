"""nnU-Net's dataset.json that lists its cases: files anywhere, several channels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from data_prep.build import build
from data_prep.check import check
from data_prep.errors import DataError
from data_prep.files import read_datalist, read_dataset
from data_prep.layouts import read_source


def volume(path: Path, seed: int, mask: bool = False) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).normal(100, 20, (16, 16, 12)).astype(np.float32)
    if mask:
        values = np.zeros((16, 16, 12), np.uint8)
        values[4:10, 4:10, 3:8] = 5
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.0, 2.0, 1.0])), path)
    return str(path)


def listed(root: Path, cases: dict[str, Any], channels: int = 2) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    content = {
        "name": "corrected",
        "channel_names": {str(index): f"c{index}" for index in range(channels)},
        "labels": {"background": 0, "tumour": 5},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
        "dataset": cases,
    }
    (root / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return root


def test_cases_elsewhere_are_read_checked_and_built(tmp_path: Path) -> None:
    cases = {}
    for seed, name in enumerate(("p1", "p2")):
        files = [volume(tmp_path / "far" / f"{name}_{channel}.nii.gz", 10 * seed + channel) for channel in (0, 1)]
        volume(tmp_path / "set/labels" / f"{name}.nii.gz", 0, mask=True)
        cases[name] = {"images": files, "label": f"labels/{name}.nii.gz"}
    root = listed(tmp_path / "set", cases)
    source = read_source(root)
    assert source.layout == "nnunet" and source.name == "corrected" and source.orphans == ()
    assert [case.case_id for case in source.cases] == ["p1", "p2"] and source.channels == ("c0", "c1")
    assert not [finding for finding in check(root) if finding.level == "error"]
    build(root, tmp_path / "prepared")
    assert len(read_datalist(tmp_path / "prepared")["training"]) == 2
    assert read_dataset(tmp_path / "prepared")["labels"][1] == {"index": 1, "value": 5, "name": "tumour"}


def test_a_label_that_is_not_listed_is_an_orphan(tmp_path: Path) -> None:
    volume(tmp_path / "set/labels/p1.nii.gz", 0, mask=True)
    volume(tmp_path / "set/labels/p9.nii.gz", 0, mask=True)
    image = volume(tmp_path / "p1.nii.gz", 1)
    root = listed(tmp_path / "set", {"p1": {"images": [image], "label": "labels/p1.nii.gz"}}, channels=1)
    assert [path.name for path in read_source(root).orphans] == ["p9.nii.gz"]


@pytest.mark.parametrize(
    "cases",
    [{}, [], {"p1": "x"}, {"p1": {"images": "x.nii.gz", "label": "y"}}, {"p1": {"images": [1], "label": "y"}},
     {"p1": {"images": ["a", "b", "c"], "label": "y"}}, {"p1": {"images": ["a"]}}],
)  # fmt: skip
def test_a_list_of_another_form_is_refused(cases: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.json: \$\.dataset"):
        read_source(listed(tmp_path / "set", cases))


@pytest.mark.parametrize("prepared", [False, True])
def test_a_case_of_a_list_leaves_with_its_entry_and_not_with_its_image(prepared: bool, tmp_path: Path) -> None:
    cases = {}
    for seed, name in enumerate(("p1", "p2", "p3")):
        volume(tmp_path / "set/labels" / f"{name}.nii.gz", 0, mask=True)
        image = volume(tmp_path / "far" / f"{name}.nii.gz", seed)
        cases[name] = {"images": [image], "label": f"labels/{name}.nii.gz"}
    root = listed(tmp_path / "set", cases, channels=1)
    build(root, tmp_path / "prepared", val_fraction=0, test_fraction=0)
    grid = np.diag([1.0, 1.0, 2.0, 1.0])
    nib.save(nib.Nifti1Image(np.full((16, 16, 12), 7.0, np.float32), grid), tmp_path / "far/p2.nii.gz")
    file = tmp_path / "prepared/datalist.json" if prepared else root / "dataset.json"
    said = next(finding for finding in check(file.parent) if finding.code == "D202")
    label = root / "labels/p2.nii.gz"
    away = "" if prepared else f", and its label away: mv -n {label} .."
    assert said.remedy.endswith(f"leave it out: take its entry p2 out of {file}{away}")
    content = json.loads(file.read_text())  # as it was said
    if prepared:
        content["training"] = [case for case in content["training"] if case["case_id"] != "p2"]
    else:
        del content["dataset"]["p2"]
        label.rename(tmp_path / "p2.nii.gz")
    file.write_text(json.dumps(content))
    assert not [finding for finding in check(file.parent) if finding.level == "error"]
