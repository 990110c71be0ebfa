"""`calibrate` and `suggest` say at once that there is nothing to do, before PyTorch loads, with a line to type."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_prep.errors import DataError
from monai_hybrid import look_first
from monai_hybrid.catalogue.folder import FOLDER
from monai_hybrid.look_first import learned_patients, refuse_all_labelled, refuse_without_held_out


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared data set of 4 labelled training patients and one of validation; its files hold what is looked at alone."""
    monkeypatch.chdir(tmp_path)
    lists = {
        "training": [{"case_id": f"t{i}", "patient": f"t{i}", "label": "l"} for i in range(4)],
        "validation": [{"case_id": "v0", "patient": "v0", "label": "l"}, {"case_id": "v1", "patient": "v1"}],
    }
    monkeypatch.setattr(look_first, "read_datalist", lambda folder: lists)
    monkeypatch.setattr(look_first, "read_dataset", lambda folder: {"name": "hearts"})
    (tmp_path / "data set").mkdir()
    (tmp_path / "data set/datalist.json").write_text(json.dumps(lists))
    (tmp_path / "run/models").mkdir(parents=True)
    (tmp_path / "run/models/model.safetensors").write_bytes(b"")
    return tmp_path / "data set"


@pytest.mark.parametrize(
    ("card", "start"),
    [
        ({"training": {"adapted_from": "my source.pt"}}, "my source.pt"),
        ({"training": {"adapted_from": None}}, "scratch"),
        ({"training": {"adapted_from": str(FOLDER / "universal_2d.safetensors")}}, "universal_2d"),
        ({"source": "hearts", "training": {}}, "auto"),
        ({"source": "brains", "training": {}}, "run"),
    ],
)
def test_too_few_patients_are_told_with_a_line_that_works(
    card: dict[str, Any], start: str, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_first, "read_card", lambda model: card)
    monkeypatch.delenv("MONAI_HYBRID_MODELS")
    with pytest.raises(
        DataError, match="the split validation has 1 labelled patient; a predicted Dice takes at least 3"
    ) as told:
        refuse_without_held_out(prepared, "run", "validation")
    words = shlex.split(str(told.value).partition("Type: ")[2])
    assert words[:7] == ["monai-hybrid", "adapt", "--data", str(prepared), "--model", start, "--shots"] and words[7] == "4"
    assert words[8:] == ["--stopping", "leave_one_out", "--keep-folds", "True", "--output", "runs/adapted"]


def test_enough_patients_or_kept_folds_go_on(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_first, "read_card", lambda model: {"source": "brains", "training": {}})
    refuse_without_held_out(prepared, "run", "training")
    Path("run/logs").mkdir()
    Path("run/logs/leave_one_out.json").write_text("{}")
    refuse_without_held_out(prepared, "run", "validation")
    with pytest.raises(DataError, match="no prepared data set"):
        refuse_without_held_out("elsewhere", "run", "validation")


@pytest.mark.parametrize(
    ("card", "shots", "learned"),
    [
        ({"source": "brains", "training": {"shots": 3}}, ["t0"], set()),
        ({"source": "hearts", "training": {"shots": 0}}, None, set()),  # of scans alone
        ({"source": "hearts", "training": {"shots": 1}}, ["t0", "somebody else"], {"t0"}),
        ({"source": "hearts", "training": {"shots": 1}}, None, {"t0", "t1", "t2", "t3"}),  # a file that was taken away
        ({"source": "hearts", "training": {}}, None, {"t0", "t1", "t2", "t3"}),  # a pretraining
        ({"source": "brains", "training": {"adapted_from": "before.safetensors"}}, ["t1"], {"t0", "t1", "t2", "t3"}),
        ({"source": "brains", "training": {"distilled_from": {"model": "before.safetensors"}}}, None, {"t0", "t1", "t2", "t3"}),
    ],
)
def test_patients_that_the_model_learned_are_known(
    card: dict[str, Any], shots: list[str] | None, learned: set[str], prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("before.safetensors").write_bytes(b"")
    before = {"source": "hearts", "training": {}}
    monkeypatch.setattr(look_first, "read_card", lambda model: before if "before" in str(model) else card)
    if shots is not None:
        Path("run/shots.json").write_text(json.dumps({"seed": 0, "patients": shots}))
    assert learned_patients(prepared, "run/models/model.safetensors") == learned
    if len(learned) < 2:  # of four
        refuse_without_held_out(prepared, "run", "training")
        return
    with pytest.raises(DataError, match="run was trained on 4 of the 4 labelled patients of the split training") as told:
        refuse_without_held_out(prepared, "run", "training")
    words = shlex.split(str(told.value).partition("Type: ")[2])
    assert words[:4] == ["monai-hybrid", "adapt", "--data", str(prepared)] and "--keep-folds" in words


def test_a_set_that_is_labelled_throughout_is_told(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="every training case has a label, so nothing is left to label"):
        refuse_all_labelled(prepared)
    look_first.read_datalist(prepared)["training"].append({"case_id": "new"})
    refuse_all_labelled(prepared)
    refuse_all_labelled(tmp_path)


def test_nothing_heavy_is_loaded() -> None:
    heavy = "import sys, monai_hybrid.look_first; print(sorted({'torch', 'monai'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_folders_of_cases_with_masks_are_built_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for case in ("p1", "p2"):
        (tmp_path / "raw" / case).mkdir(parents=True)
        (tmp_path / "raw" / case / "t1.nii.gz").write_bytes(b"")
    refuse_all_labelled(tmp_path / "raw")
    (tmp_path / "raw/p2/seg.nii.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"masks with the images.*monai-hybrid build .*raw --allow-unlabelled"):
        refuse_all_labelled(tmp_path / "raw")


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("imagesTr", "labelsTr")])
def test_scans_with_labels_beside_them_are_built_first(
    images: str, labels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a scan that has a label would be proposed as the next one to label."""
    monkeypatch.chdir(tmp_path)
    for part in (images, labels):
        (tmp_path / "raw data" / part).mkdir(parents=True)
    (tmp_path / "raw data" / labels / ".DS_Store").write_bytes(b"")
    refuse_all_labelled(tmp_path / "raw data")
    (tmp_path / "raw data" / labels / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=f"raw data: holds {labels}/, and which scans have a label is known once") as told:
        refuse_all_labelled(tmp_path / "raw data")
    words = shlex.split(str(told.value).partition("Type: ")[2].partition(";")[0])
    assert words == ["monai-hybrid", "build", str(tmp_path / "raw data"), "--allow-unlabelled", "--output", "prepared"]
    refuse_all_labelled(shlex.split(str(told.value).partition("--data ")[2])[0])


def test_parts_with_masks_are_built_first(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for folder in ("images", "masks"):
            (tmp_path / part / folder).mkdir(parents=True)
            (tmp_path / part / folder / f"{part}.png").write_bytes(b"")
    with pytest.raises(DataError, match="which scans have a label is known once it is built"):
        refuse_all_labelled(tmp_path)


@pytest.mark.parametrize(
    ("folders", "line"),
    [
        (("images", "masks"), "monai-hybrid build raw --allow-unlabelled"),
        (("scans", "lung_masks"), "monai-hybrid build raw --allow-unlabelled"),
        (
            ("scans", "masks", "validation", "validation_gt"),
            "monai-hybrid build raw --images-dir scans --labels-dir masks --allow-unlabelled",
        ),
    ],
)
def test_two_folders_are_refused_with_a_line_that_builds_them(
    folders: tuple[str, ...], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, folder in enumerate(folders):
        (tmp_path / "raw" / folder).mkdir(parents=True)
        for index in range(2):
            (tmp_path / "raw" / folder / f"p{number // 2}_{index}.nii.gz").write_bytes(b"")
    with pytest.raises(DataError, match="which scans have a label is known once it is built") as refused:
        refuse_all_labelled("raw")
    assert line in str(refused.value)
