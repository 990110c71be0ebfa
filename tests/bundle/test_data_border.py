"""The bundles give the verdict of `python -m data_prep check`, before any training, for every fault of the data border."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.reliability.faults import ACCEPTED, FAULTS, Fault
from benchmarks.reliability.tiny import cube, edit_header, noise, prepared, save
from data_prep.checks import REGISTRY
from monai_hybrid.bundle.cases import cases_to_predict
from monai_hybrid.bundle.data import PreparedData, prepare_data, read_prepared
from monai_hybrid.errors import DataError

NAMES_ONLY = [fault for fault in FAULTS if not fault.options]  # the bundles have no setting for names of labels


@pytest.mark.parametrize("fault", NAMES_ONLY, ids=lambda fault: f"{fault.id}-{fault.title}")
def test_the_bundle_answers_as_check_does(fault: Fault, tmp_path: Path) -> None:
    path = fault.make(tmp_path / "set")
    folder = path if path.is_dir() else path.parent
    if fault.answer == ACCEPTED or REGISTRY[fault.answer].level != "error":
        data = prepare_data(str(folder), str(tmp_path / "run"))
        assert data.training and (data.folder / "plan.json").is_file()
        return
    with pytest.raises(DataError) as caught:
        prepare_data(str(folder), str(tmp_path / "run"))
    text = str(caught.value)
    coded = [f"{fault.answer} error: " in text, re.search(fault.message, text) is not None and fault.names in text]
    assert any(coded), text
    assert not list((tmp_path / "run").rglob("*.json"))


def test_a_prepared_data_set_is_checked_once_for_each_state(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = prepared(tmp_path)
    label = tmp_path / "raw" / "labels" / "case_a.nii.gz"
    with caplog.at_level("INFO", logger="monai_hybrid.data"):
        prepare_data(str(folder), str(tmp_path / "run"))
        prepare_data(str(folder), str(tmp_path / "run"))
    assert caplog.text.count("checking the files") == 1
    edit_header(label, scl_slope=0.5)
    with pytest.raises(DataError, match=r"D302 error: .*case_a\.nii\.gz: 27 voxels"):
        prepare_data(str(folder), str(tmp_path / "run"))
    save(label, cube())
    assert prepare_data(str(folder), str(tmp_path / "run")).training


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("IM0001", b"\0" * 128 + b"DICM" + b"Doe^Jane" * 9, r"DICOM"),
        ("scans.zip", b"PK\x03\x04" + b"\0" * 99, r"scans.zip is an archive; .* Unpack it yourself and give the folder"),
    ],
)
def test_dicom_and_archives_are_refused_by_name(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / name).write_bytes(content)
    for ask in (cases_to_predict, prepare_data):
        with pytest.raises(DataError, match=message) as refused:
            ask(str(tmp_path / "scans"), str(tmp_path / "run"))
        assert "Doe" not in str(refused.value)
    save(tmp_path / "scans/a.nii.gz", noise((6, 7, 8)))
    assert [case["case_id"] for case in cases_to_predict(str(tmp_path / "scans"), str(tmp_path / "run"))] == ["a"]


@pytest.mark.parametrize(
    ("validation", "advice"),
    [
        (0, "nobody is held out to measure on. .*--stopping leave_one_out.* with --split all"),
        (2, "choose another with --split"),
    ],
)
def test_an_empty_split_is_refused_with_what_to_type(validation: int, advice: str, tmp_path: Path) -> None:
    case = {"image": "i.nii.gz", "label": "l.nii.gz"}
    data = PreparedData(tmp_path, [case] * 3, [case] * validation, [], {}, {})
    with pytest.raises(DataError, match=rf"the split testing has no labelled case \(labelled: training 3, .*\); {advice}"):
        data.labelled("testing", required=True)


def test_a_plan_of_other_data_than_the_list_is_refused(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    plan = json.loads((folder / "plan.json").read_text())
    read_prepared(folder)
    (folder / "plan.json").write_text(json.dumps({**plan, "spatial_dims": 2, "spacing": [1, 1], "patch_size": [8, 8]}))
    with pytest.raises(DataError, match=r"the plan is of 2D data, and dataset.json beside it of 3D; expected the three files"):
        read_prepared(folder)
