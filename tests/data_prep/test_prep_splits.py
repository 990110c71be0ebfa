"""Splits and patients: nobody is in two splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from prep_samples import write_json

from data_prep.build import build
from data_prep.cases import Case
from data_prep.errors import ConfigError, DataError
from data_prep.files import read_datalist
from data_prep.patients import PatientFinder
from data_prep.splits import folds_by_patient, split_by_chance


@pytest.mark.parametrize(
    ("case_id", "patient"),
    [
        ("patient001_frame01_slice02", "patient001"),
        ("sub-04_ses-1_T1w", "sub-04"),
        ("SC-HF-I-04-IM-0001-0007", "SC-HF-I-04"),
        ("SC-HYP-01-IM-0550-0020", "SC-HYP-01"),
        ("IXI396-HH-2115_L", "IXI396-HH-2115"),
        ("IXI396-HH-2115", "IXI396-HH-2115"),
        ("hippocampus_001", "hippocampus_001"),
    ],
)
def test_patient_from_known_names(tmp_path, case_id, patient):
    assert PatientFinder(tmp_path)(case_id) == patient


def test_patient_from_expression(tmp_path):
    assert PatientFinder(tmp_path, r"^(P\d+)_")("P12_left") == "P12"
    with pytest.raises(ConfigError, match="finds no patient in case 'left'"):
        PatientFinder(tmp_path, r"^(P\d+)_")("left")
    with pytest.raises(ConfigError, match="2 groups; expected one"):
        PatientFinder(tmp_path, r"(a)(b)")
    with pytest.raises(ConfigError, match="not a regular expression"):
        PatientFinder(tmp_path, r"(a")


def test_patient_from_table(tmp_path):
    (tmp_path / "cases.csv").write_text("file,patient\nx1.nii.gz,Anna\n", encoding="utf-8")
    assert PatientFinder(tmp_path)("x1") == "Anna"
    assert PatientFinder(tmp_path)("x2") == "x2"


def _cases(patients: int, each: int = 3) -> list[Case]:
    return [
        Case(f"p{person}_{scan}", (Path("i"),), Path("l"), f"p{person}") for person in range(patients) for scan in range(each)
    ]


@pytest.mark.parametrize("patients", [1, 2, 3, 4, 10, 30])
def test_draw_keeps_patients_together(patients):
    split = split_by_chance(_cases(patients), 0.1, 0.2, seed=1)
    homes = {case.patient: {other.split for other in split if other.patient == case.patient} for case in split}
    assert all(len(places) == 1 for places in homes.values())
    assert sum(places == {"training"} for places in homes.values()) >= 1
    if patients >= 3:
        assert {"training", "validation", "testing"} == {case.split for case in split}


@pytest.mark.parametrize(("patients", "held_out"), [(1, 0), (3, 0), (4, 0), (5, 2), (10, 3)])
def test_of_few_patients_none_is_held_out_unless_asked_for(patients, held_out):
    split = split_by_chance(_cases(patients), None, None, seed=1)
    assert len({case.patient for case in split if case.split != "training"}) == held_out
    if patients == 4:
        assert {case.split for case in split_by_chance(_cases(4), None, 0.25, seed=1)} == {"training", "testing"}


def test_fractions_must_leave_training():
    with pytest.raises(ConfigError, match="sum to less than 1"):
        split_by_chance(_cases(5), 0.5, 0.5, 0)
    split_by_chance(_cases(5), 0.0, 0.0, 0)


@pytest.mark.parametrize(("patients", "expected"), [(2, 2), (7, 5)])
def test_folds_by_patient(patients, expected):
    folds = folds_by_patient(split_by_chance(_cases(patients), 0, 0, 0), 5, 0)
    assert set(folds.values()) == set(range(expected))


def test_splits_file(nifti_set, tmp_path):
    root = nifti_set(names=["a", "b", "c", "d"])
    splits = write_json(tmp_path / "splits.json", {"fewshot": ["b.nii.gz"], "val": ["a"], "test": ["c.nii.gz"]})
    report = build(root, tmp_path / "out", splits=splits)
    content = read_datalist(tmp_path / "out")
    assert [entry["case_id"] for entry in content["training"]] == ["b"]
    assert [entry["case_id"] for entry in content["validation"]] == ["a"]
    assert [entry["case_id"] for entry in content["testing"]] == ["c"]
    assert "does not name them: 1" in report.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": ["a", "zz.nii.gz"]}, r"names that are not among the cases \(1\): zz\.nii\.gz"),
        ({"train": ["a"], "test": ["a.nii.gz"]}, "'a.nii.gz' is named twice"),
        ({"train": ["a"], "holdout": ["b"]}, r"\$\.holdout: unknown list; expected one of train"),
        ({"train": [1]}, r"\$\.train: expected a list of file names"),
        ({"test": ["a"]}, "no training case"),
        (["a"], "saw list"),
    ],
)
def test_bad_splits_file(nifti_set, tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        build(nifti_set(), tmp_path / "out", splits=write_json(tmp_path / "splits.json", content))


def test_patient_in_two_splits(nifti_set, tmp_path):
    root = nifti_set(names=["patient1_a", "patient1_b", "patient2_a"])
    bad = {"train": ["patient1_a", "patient2_a"], "test": ["patient1_b"]}
    with pytest.raises(DataError, match=r"D407 .*patient 'patient1' is in training \(patient1_a\), testing"):
        build(root, tmp_path / "out", splits=write_json(tmp_path / "bad.json", bad))
    good = {"train": ["patient1_a", "patient1_b"], "test": ["patient2_a"]}
    build(root, tmp_path / "out", splits=write_json(tmp_path / "good.json", good))
