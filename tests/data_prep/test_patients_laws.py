"""A line of cases.csv that names no patient or no file says nothing."""

from __future__ import annotations

from pathlib import Path

from data_prep.patients import PatientFinder


def test_lines_that_are_not_whole_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("file,patient\nscan_a.nii.gz,\nscan_b.nii.gz,Berta\n,Carl\n", encoding="utf-8")
    finder = PatientFinder(tmp_path)
    assert finder("scan_b") == "Berta"
    assert finder("scan_a") not in ("", "Berta", "Carl"), "an empty name would make one patient of all such cases"
