"""`build` of a folder of DICOM: a prepared data set of NIfTI files, with masks from beside it, and nobody's name in it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from dicom_files import AXIAL, CORONAL, PLANTED, Written, oblique, write_series
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.dicom import find_series
from data_prep.dicom.names import case_name

RUN = CliRunner()
ROOT = Path(__file__).parents[2]


def scan(seed: int) -> Any:
    """Stored values (slices, rows, columns) with a bright block."""
    pixels = np.random.default_rng(seed).integers(0, 300, (12, 24, 20)).astype(np.int16)
    pixels[3:9, 6:16, 8:18] += 900
    return pixels


def mask_of(written: Written, path: Path, flip: bool = False) -> None:
    """The block as a NIfTI mask on the grid of the series; flipped in its rows, as some converters write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image((written.pixels > 700).astype(np.uint8).transpose(2, 1, 0), written.affine)
    turned = nib.as_closest_canonical(image) if flip else image
    nib.Nifti1Image(np.asarray(turned.dataobj), turned.affine).to_filename(path)


def hospital(root: Path, count: int = 3, **given: Any) -> list[Written]:
    """Patients of one series each, in planes of different directions."""
    directions = (AXIAL, oblique(), CORONAL)
    return [
        write_series(
            root / f"{index}/study",
            scan(index),
            directions=directions[index % 3],
            order=list(np.random.default_rng(index).permutation(12)),
            PatientID=f"{PLANTED['PatientID']}{index}",
            **given,
        )
        for index in range(count)
    ]


def build(*words: str | Path, code: int = 0) -> str:
    result = RUN.invoke(app, ["build", *map(str, words)])
    said = result.stdout + result.stderr
    assert result.exit_code == code and "Traceback" not in said, said
    return " ".join(said.split())


def prepared(folder: Path) -> list[dict[str, Any]]:
    datalist = json.loads((folder / "datalist.json").read_text())
    return [entry for split in ("training", "validation", "testing") for entry in datalist[split]]


def test_masks_named_by_series_uid_make_a_prepared_set_of_nifti(tmp_path: Path) -> None:
    series = hospital(tmp_path / "raw")
    write_series(tmp_path / "raw/1/scout", scan(9)[:1], ImageType=["X", "LOCALIZER"])
    for index, one in enumerate(series):
        mask_of(one, tmp_path / "raw/labels" / f"{one.series_uid}.nii.gz", flip=index == 1)
    said = build(tmp_path / "raw", "--output", tmp_path / "out", "--test-fraction", "0.3")
    assert "masks are paired with series by SeriesInstanceUID: 3" in said and "D514" in said
    assert "wrote 3 DICOM series as NIfTI" in said and "patients: 3 in 3 cases, by the headers of the files" in said
    entries = {entry["label"]: entry for entry in prepared(tmp_path / "out")}
    for one in series:
        entry = entries[str(tmp_path / "raw/labels" / f"{one.series_uid}.nii.gz")]
        assert entry["image"] == f"nifti/{entry['case_id']}.nii.gz" and entry["case_id"].startswith(f"{entry['patient']}_")
        image = nib.load(tmp_path / "out" / entry["image"])
        np.testing.assert_array_equal(np.asanyarray(image.dataobj), one.expected())
        assert np.abs(image.affine - one.affine).max() < 1e-4
    assert json.loads((tmp_path / "out/dataset.json").read_text())["modality"] == "CT"
    assert RUN.invoke(app, ["check", str(tmp_path / "out")]).exit_code == 0


@pytest.mark.parametrize("folder", ["labels", "masks"])
def test_masks_named_by_the_case_or_the_folder_are_paired(folder: str, tmp_path: Path) -> None:
    series = hospital(tmp_path / "raw")
    wanted = build(tmp_path / "raw", "--output", tmp_path / "out", code=3)
    assert "3 DICOM series and no mask" in wanted and f"{series[0].series_uid}.nii.gz" in wanted
    assert (
        f"monai-hybrid predict {tmp_path / 'raw'} --model" in wanted and "--unlabelled-dir" in wanted and "DICOM-SEG" in wanted
    )
    for index, one in enumerate(series):
        mask_of(one, tmp_path / "raw" / folder / f"{index}_seg.nii.gz")
    words = ["--labels-dir", folder] if folder != "labels" else []
    assert "by their patient's folder: 3" in build(tmp_path / "raw", "--output", tmp_path / "out", *words)
    assert {entry["label"] for entry in prepared(tmp_path / "out")} == {
        f"nifti_labels/{entry['case_id']}.nii.gz" for entry in prepared(tmp_path / "out")
    }
    cases = {one.uid: case_name(one) for one in find_series(tmp_path / "raw")}
    for index, one in enumerate(series):
        mask = tmp_path / "raw" / folder / f"{index}_seg.nii.gz"
        mask.rename(mask.with_name(f"{cases[one.series_uid]}.nii.gz"))
    assert "by their case's name: 3" in build(tmp_path / "raw", "--output", tmp_path / "again", *words)


def test_a_check_without_masks_says_what_can_be_done_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the line that is typed writes where the user works
    series, raw = hospital(tmp_path / "raw"), tmp_path / "raw"
    said = RUN.invoke(app, ["check", str(raw), "--series", "3"]).stdout
    assert "good: 0 errors" in said and f"monai-hybrid build {raw}" not in said
    assert f"monai-hybrid predict {raw} --series 3 --model MODEL --output {raw.name}_masks\n" in said
    assert f"monai-hybrid adapt --data LABELLED --unlabelled-dir {raw} --output runs/adapted\n" in said
    assert f"DICOM-SEG files among them, or NIfTI files in {raw / 'labels'} or another folder named with --labels-dir" in said
    for one in series:
        mask_of(one, tmp_path / "drawn" / f"{one.series_uid}.nii.gz")
    said = RUN.invoke(app, ["check", str(raw), "--labels-dir", str(tmp_path / "drawn")]).stdout
    line = next(line for line in said.splitlines() if line.startswith("Next: monai-hybrid "))
    assert RUN.invoke(app, shlex.split(line)[2:]).exit_code == 0, "the line can be typed"


def test_two_series_of_a_patient_stay_in_one_split(tmp_path: Path) -> None:
    series = hospital(tmp_path / "raw", 4)
    series += [write_series(tmp_path / f"raw/{i}/more", scan(10 + i), PatientID=f"{PLANTED['PatientID']}{i}") for i in range(4)]
    for one in series:
        mask_of(one, tmp_path / "raw/labels" / f"{one.series_uid}.nii.gz")
    build(tmp_path / "raw", "--output", tmp_path / "out", "--test-fraction", "0.5")
    datalist = json.loads((tmp_path / "out/datalist.json").read_text())
    patients = [{entry["patient"] for entry in datalist[split]} for split in ("training", "testing")]
    assert len(patients[0]) == len(patients[1]) == 2 and not patients[0] & patients[1]


def test_some_series_without_a_mask_are_taken_when_it_is_allowed(tmp_path: Path) -> None:
    series = hospital(tmp_path / "raw")
    for one in series[:2]:
        mask_of(one, tmp_path / "raw/labels" / f"{one.series_uid}.nii.gz")
    assert "D403" in build(tmp_path / "raw", "--output", tmp_path / "out", code=3) and not (tmp_path / "out").exists()
    build(tmp_path / "raw", "--output", tmp_path / "out", "--allow-unlabelled")
    assert sum("label" not in entry for entry in prepared(tmp_path / "out")) == 1


@pytest.mark.parametrize("ending", ["", "_seg"])
def test_masks_of_series_that_are_not_chosen_are_no_fault(ending: str, tmp_path: Path) -> None:
    series = hospital(tmp_path / "raw", 3)
    series += [write_series(tmp_path / f"raw/{index}/t2", scan(20 + index), SeriesNumber=8) for index in range(3)]
    for one in series:
        mask_of(one, tmp_path / "raw/labels" / f"{one.series_uid}{ending}.nii.gz")
    said = build(tmp_path / "raw", "--output", tmp_path / "out", "--series", "8")
    assert "by SeriesInstanceUID: 3" in said and "D404" not in said
    assert {entry["label"] for entry in prepared(tmp_path / "out")} == {
        str(tmp_path / "raw/labels" / f"{one.series_uid}{ending}.nii.gz") for one in series[3:]
    }


def test_a_mask_of_a_series_with_a_fault_is_no_second_fault(tmp_path: Path) -> None:
    series = hospital(tmp_path / "raw", 2)
    for one in series:
        mask_of(one, tmp_path / "raw/labels" / f"{one.series_uid}.nii.gz")
    series[1].files[4].unlink()
    found = RUN.invoke(app, ["check", str(tmp_path / "raw")])
    assert "D510" in found.stdout and "D404" not in found.stdout and "1 error" in found.stdout, found.stdout


def test_a_mask_on_another_grid_and_a_mask_without_a_series_are_named(tmp_path: Path) -> None:
    series = hospital(tmp_path / "raw")
    for one in series:
        mask_of(one, tmp_path / "raw/labels" / f"{one.series_uid}.nii.gz")
    mask_of(series[0], tmp_path / "raw/labels/1.2.3.nii.gz")
    moved = tmp_path / "raw/labels" / f"{series[2].series_uid}.nii.gz"
    nib.Nifti1Image(np.asarray(nib.load(moved).dataobj)[:-1], nib.load(moved).affine).to_filename(moved)
    found = RUN.invoke(app, ["check", str(tmp_path / "raw")])
    assert found.exit_code == 3 and "D401" in found.stdout and "D404" in found.stdout, found.stdout


def test_nothing_that_is_written_or_said_names_a_patient_even_where_folders_do(tmp_path: Path) -> None:
    name = PLANTED["PatientName"].replace("^", "_")
    series = hospital(tmp_path / f"raw/{name}/{PLANTED['PatientID']}", SeriesDescription=f"CT {PLANTED['PatientName']}")
    write_series(tmp_path / f"raw/{name}/one", scan(5)[:1], SeriesDescription=PLANTED["AccessionNumber"])
    for one in series:
        mask_of(one, tmp_path / "raw/labels" / f"{one.series_uid}.nii.gz")
    said = RUN.invoke(app, ["check", str(tmp_path / "raw"), "--json", str(tmp_path / "report.json")]).output
    said += (tmp_path / "report.json").read_text()
    said += build(tmp_path / "raw", "--output", tmp_path / "none", code=3)
    said += build(tmp_path / "raw", "--output", tmp_path / "out", "--series", "CT*")
    for path in (tmp_path / "out").rglob("*"):
        said += str(path.relative_to(tmp_path)) + (path.read_text() if path.suffix == ".json" else "")
        if path.name.endswith(".nii.gz"):
            said += repr(nib.load(path).header.binaryblock)
    assert "D517" in said
    for word in (*PLANTED.values(), *PLANTED["PatientName"].split("^")):
        assert word.lower() not in said.lower(), word


def test_a_folder_called_images_that_holds_dicom_is_read_too(tmp_path: Path) -> None:
    series = hospital(tmp_path / "raw/images")
    for one in series:
        mask_of(one, tmp_path / "raw/labels" / f"{one.series_uid}.nii.gz")
    build(tmp_path / "raw", "--output", tmp_path / "out")
    assert len(prepared(tmp_path / "out")) == 3


def test_series_is_refused_where_there_is_no_dicom(tmp_path: Path) -> None:
    nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    for name in ("images", "labels"):
        (tmp_path / "raw" / name).mkdir(parents=True)
        (tmp_path / "raw" / name / "a.nii.gz").write_bytes((tmp_path / "a.nii.gz").read_bytes())
    assert "--series T1: " in build(tmp_path / "raw", "--output", tmp_path / "out", "--series", "T1", code=2)


def test_dicom_beside_other_images_is_taken_only_when_it_is_said(tmp_path: Path) -> None:
    hospital(tmp_path / "raw", 1)
    nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_filename(tmp_path / "raw/old.nii.gz")
    result = RUN.invoke(app, ["check", str(tmp_path / "raw")])
    assert result.exit_code == 2 and "it holds DICOM, and other images (.nii.gz). To take" in result.stderr
    assert RUN.invoke(app, ["check", str(tmp_path / "raw"), "--layout", "dicom"]).exit_code == 0


def test_repair_leaves_dicom_alone(tmp_path: Path) -> None:
    hospital(tmp_path / "raw", 1)
    result = RUN.invoke(app, ["repair", str(tmp_path / "raw"), "--output", str(tmp_path / "out")])
    assert result.exit_code == 2 and "it is DICOM, which is never changed" in result.stderr, result.output
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]


def test_without_pydicom_the_line_to_type_is_said_and_other_data_are_read(tmp_path: Path) -> None:
    hospital(tmp_path / "raw", 1)
    for name in ("images", "labels"):
        (tmp_path / "nifti" / name).mkdir(parents=True)
        array = np.random.default_rng(0).integers(0, 2 if name == "labels" else 99, (8, 8, 8)).astype(np.uint8)
        nib.Nifti1Image(array, np.eye(4)).to_filename(tmp_path / "nifti" / name / "a.nii.gz")
    code = (
        "import sys; sys.modules['pydicom'] = sys.modules['highdicom'] = None; from data_prep.cli import app; app(sys.argv[1:])"
    )

    def check(folder: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, "check", folder], cwd=ROOT, capture_output=True, text=True)

    refused, taken = check(str(tmp_path / "raw")), check(str(tmp_path / "nifti"))
    assert refused.returncode == 3 and 'pip install "monai-hybrid[dicom]"' in refused.stdout + refused.stderr, refused
    assert "Traceback" not in refused.stderr and taken.returncode == 0, taken
