"""A table of an earlier version, which lacks columns, goes on: finished cases stay. A mask without its row is told of."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from data_prep.scans import MADE_HERE, masks_without_row
from monai_hybrid.gallery.cases import read_collection
from monai_hybrid.prediction.table import LATER, QualityTable

LABELS = [{"name": name, "value": i, "index": i} for i, name in enumerate(("background", "LV"))]


def test_rows_without_a_digest_are_kept(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")
    table = QualityTable(str(tmp_path / "masks"), LABELS, str(tmp_path / "model.pt"))
    table.open()
    table.add("a", status="done", image="a.png", mask="a_seg.png", made_from="0")
    columns = [name for name in table.columns if name != LATER]
    row = table.rows["a"]
    table.path.write_text("\n".join([",".join(columns), ",".join(row[name] for name in columns)]) + "\n")
    again = QualityTable(str(tmp_path / "masks"), LABELS, str(tmp_path / "model.pt"))
    again.open()
    assert again.rows["a"] == {**row, LATER: ""}
    again.seen("a", "d1")
    again.seen("not there", "d2")
    again.finish()
    assert LATER in table.path.read_text().splitlines()[0] and "d1" in table.path.read_text()


def opened(folder: Path, quality: dict[str, Any] | None = None) -> QualityTable:
    (folder / "model.pt").write_bytes(b"weights")
    table = QualityTable(str(folder / "masks"), LABELS, str(folder / "model.pt"), quality=quality)
    table.open()
    return table


def test_rows_from_before_the_predicted_dice_are_kept_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = opened(tmp_path)
    before.add("a", status="done", image="a.png", mask="a_seg.png", made_from="0")
    before.finish()
    assert caplog.messages == []
    now = opened(tmp_path, {"dice": {"LV": {}}})
    now.add("b", status="done", image="b.png", mask="b_seg.png", made_from="1", predicted_dice=0.9)
    now.finish()
    assert now.rows["a"]["mask"] == "a_seg.png" and now.rows["a"]["predicted_dice"] == ""
    (said,) = caplog.messages
    assert "no predicted Dice for 1 of 2 masks, which are older than it, such as a; predict their images again with" in said
    opened(tmp_path, {"dice": {"LV": {}}}).add("a", status="done", mask="a_seg.png", made_from="2", predicted_dice=None)
    caplog.clear()
    opened(tmp_path, {"dice": {"LV": {}}}).finish()
    assert caplog.messages == [], "none is predicted for an empty mask"


def test_rows_are_kept_when_updates_on_each_image_are_switched_on_and_off(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")
    for case_id, on in (("a", False), ("b", True), ("c", False)):
        table = QualityTable(str(tmp_path / "masks"), LABELS, str(tmp_path / "model.pt"), test_time=on)
        table.open()
        kept = {"test_time": "adapted"} if on else {}
        table.add(case_id, status="done", image=f"{case_id}.png", mask=f"{case_id}_seg.png", made_from="0", **kept)
        table.finish()
    assert {name: row["test_time"] for name, row in table.rows.items()} == {"a": "", "b": "adapted", "c": ""}


def test_a_mask_without_a_row_is_told_by_predict_and_by_the_page(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = opened(tmp_path)
    for name, made in (("a_seg", MADE_HERE), ("b_seg", MADE_HERE), ("b_entropy", MADE_HERE), ("theirs", b"another")):
        mask = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
        mask.header["descrip"] = made
        nib.save(mask, tmp_path / "masks" / f"{name}.nii.gz")
    table.add("a", status="done", image="a.nii.gz", mask="a_seg.nii.gz", made_from="0")
    with caplog.at_level(logging.WARNING):
        table.finish()
    (said,) = caplog.messages
    assert "b_seg.nii.gz: a mask without a row in quality.csv, so a run was killed between the two; predict its image" in said
    told = {case.case_id: case.note for case in read_collection(tmp_path / "masks").cases if "without a row" in case.note}
    assert list(told) == ["b_seg"]
    table.add("b", status="done", image="b.nii.gz", mask="b_seg.nii.gz", made_from="0")
    caplog.clear()
    table.finish()
    assert caplog.messages == []


def test_masks_without_a_row_are_found_in_folders_and_among_dicom_files(tmp_path: Path) -> None:
    def made(name: str, text: bytes = MADE_HERE) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
        mask.header["descrip"] = text
        path.write_bytes(text if path.suffix == ".dcm" else mask.to_bytes())

    place = "sub-{}/ses-1/anat/sub-{}_ses-1"
    first, second = place.format(1, 1), place.format(2, 2)
    for name in (f"{first}_dseg.nii", f"{second}_dseg.nii", f"{second}_probseg.nii", "CT_1_seg.dcm", "CT_2_seg.dcm"):
        made(name)
    made("CT_1_seg.nii")  # beside its DICOM-SEG
    made("theirs.dcm", b"another")
    made("of_another_run/a_seg.nii")
    (tmp_path / "of_another_run/quality.csv").write_text("case_id\n")
    made(".hidden/a_seg.nii")
    (tmp_path / "linked").symlink_to(tmp_path / "sub-2", target_is_directory=True)
    rows = [{"case_id": "sub-1_ses-1", "mask": f"{first}_dseg.nii"}, {"case_id": "CT_1", "mask": "CT_1_seg.dcm"}]
    found = [path.relative_to(tmp_path).as_posix() for path in masks_without_row(tmp_path, rows)]
    assert found == ["CT_2_seg.dcm", f"{second}_dseg.nii"]
    rows += [{"case_id": "sub-2_ses-1", "mask": f"{second}_dseg.nii"}, {"case_id": "CT_2", "mask": "CT_2_seg.dcm"}]
    assert masks_without_row(tmp_path, rows) == [] and masks_without_row(tmp_path / "none", rows) == []
