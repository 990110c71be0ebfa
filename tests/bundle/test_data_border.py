"""The bundles give the verdict of `python -m data_prep check`, before any training, for every fault of the data border."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.reliability.faults import ACCEPTED, FAULTS, Fault
from benchmarks.reliability.tiny import cube, edit_header, prepared, save
from data_prep.checks import REGISTRY
from monai_hybrid.bundle.data import prepare_data
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
