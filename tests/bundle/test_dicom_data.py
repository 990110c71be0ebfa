"""A raw folder of DICOM given to a training is prepared as `build` prepares it: the bundles read NIfTI."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_files import some_pixels, write_series

from data_prep.build import build
from data_prep.naming import named
from data_prep.pseudonyms import VARIABLE
from monai_hybrid.bundle.cases import cases_to_predict
from monai_hybrid.bundle.data import PreparedData, prepare_data, read_prepared
from monai_hybrid.dicom_border import dicom_cases
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.few_shot import unlabelled_cases


def test_a_folder_of_dicom_with_masks_is_prepared_and_one_with_a_fault_is_refused(tmp_path: Path) -> None:
    series = [write_series(tmp_path / f"raw/{i}", some_pixels(12, 24, 24, seed=i), PatientID=f"X{i}") for i in range(3)]
    (tmp_path / "raw/labels").mkdir()
    for one in series:
        mask = nib.Nifti1Image((one.pixels > 900).astype(np.uint8).transpose(2, 1, 0), one.affine)
        mask.to_filename(tmp_path / "raw/labels" / f"{one.series_uid}.nii.gz")
    data = prepare_data(str(tmp_path / "raw"), str(tmp_path / "run"))
    cases = [*data.training, *data.validation, *data.testing]
    assert len(cases) == 3 and all(case["image"].endswith(".nii.gz") and Path(case["image"]).is_file() for case in cases)
    series[1].files[5].unlink()
    with pytest.raises(DataError, match="D510"):
        prepare_data(str(tmp_path / "raw"), str(tmp_path / "other"))


def export(root: Path, numbers: range, **more: object) -> Path:
    for i in numbers:
        pixels = some_pixels(12, 24, 24, seed=i)
        one = write_series(root / f"{i}", pixels, PatientID=f"X{i}", series_uid=f"1.2.{i}", study_uid=f"1.3.{i}", **more)
        mask = nib.Nifti1Image((one.pixels > 900).astype(np.uint8).transpose(2, 1, 0), one.affine)
        (root / "labels").mkdir(exist_ok=True)
        mask.to_filename(root / "labels" / f"{one.series_uid}.nii.gz")
    return root


@pytest.fixture
def hospital(tmp_path: Path) -> PreparedData:
    """Four patients of five, one of them held out to test on."""
    build(export(tmp_path / "raw", range(4)), tmp_path / "prepared", test_fraction=0.25, val_fraction=0.0)
    return read_prepared(tmp_path / "prepared")


def test_a_folder_of_dicom_gives_images_without_labels(hospital: PreparedData, tmp_path: Path) -> None:
    shutil.rmtree(export(tmp_path / "raw", range(4, 6)) / "labels")
    write_series(tmp_path / "raw/gap", some_pixels(6), PatientID="X9").files[2].unlink()
    labelled = hospital.training[:1]
    settings = {"folder": str(tmp_path / "raw"), "output_dir": str(tmp_path / "run")}
    cases = unlabelled_cases(hospital, labelled, "hybrid", **settings)
    held = {case["patient"] for case in [*labelled, *hospital.testing]}
    assert len(cases) == 4 and not held & {case["patient"] for case in cases}
    assert {case["case_id"] for case in hospital.training[1:]} < {case["case_id"] for case in cases}
    assert all(Path(case["image"]).is_relative_to(tmp_path / "run/data/unlabelled") for case in cases)
    assert nib.load(cases[0]["image"]).shape == (24, 24, 12)
    before = [Path(case["image"]).stat().st_mtime_ns for case in cases]
    again = unlabelled_cases(hospital, labelled, "hybrid", **settings)
    assert again == cases and before == [Path(case["image"]).stat().st_mtime_ns for case in again]


def test_what_is_held_out_is_known_under_another_key(
    hospital: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other.json"))
    settings = {"folder": str(tmp_path / "raw"), "output_dir": str(tmp_path / "run")}
    assert len(unlabelled_cases(hospital, hospital.training[:1], "hybrid", **settings)) == 2


def test_a_configuration_of_before_is_told_what_dicom_needs(hospital: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"raw is DICOM. Give output_dir too"):
        unlabelled_cases(hospital, [], "hybrid", folder=str(tmp_path / "raw"))


def test_links_to_folders_are_told_in_a_prediction(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "raw/a")
    (tmp_path / "raw/Plantedname").symlink_to(tmp_path)
    assert len(cases_to_predict(str(tmp_path / "raw"), str(tmp_path / "out"))) == 1
    assert "it holds a link to a folder, which is not followed" in caplog.text and "Plantedname" not in caplog.text
    (tmp_path / "links").mkdir()
    (tmp_path / "links/Plantedname").symlink_to(tmp_path / "raw")
    with pytest.raises(DataError, match="no image found; it holds a link to a folder") as error:
        cases_to_predict(str(tmp_path / "links"), str(tmp_path / "out"))
    assert "Plantedname" not in str(error.value)


def results(folder: Path, cases: list[str]) -> Path:
    folder.mkdir(parents=True)
    (folder / "quality.csv").write_text("\n".join(["case_id,status", *(f"{case},done" for case in cases)]) + "\n")
    return folder


def test_results_under_another_key_are_not_doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        write_series(tmp_path / f"raw/{number}", PatientID=f"X{number}")
    first = [case["case_id"] for case in dicom_cases(tmp_path / "raw", tmp_path / "none")]
    own = results(tmp_path / "own", first[:1])
    of_others = results(tmp_path / "others", ["case_1", "sub-01_ses-1_T1w"])
    for folder in (own, of_others, tmp_path / "new"):
        assert len(dicom_cases(tmp_path / "raw", folder)) == 2, "results of the same key, of other formats, and none"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "second.json"))
    with pytest.raises(ConfigError, match=r"quality.csv: its cases have pseudonyms of another key file, so each patient"):
        dicom_cases(tmp_path / "raw", own)
    assert len(dicom_cases(tmp_path / "raw", tmp_path / "new")) == 2
    with named(keep=True):
        kept = results(tmp_path / "kept", [case["case_id"] for case in dicom_cases(tmp_path / "raw", tmp_path / "none")])
        assert len(dicom_cases(tmp_path / "raw", kept)) == 2
        with pytest.raises(ConfigError, match="its cases have pseudonyms, so"):
            dicom_cases(tmp_path / "raw", own)
    with pytest.raises(ConfigError, match="its cases have the names that --keep-names shows"):
        dicom_cases(tmp_path / "raw", kept)
