"""Predictions of DICOM in `view`: the series and its DICOM-SEG as NIfTI, for as long as the page is open; labels that stay."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_files import PLANTED, Written, oblique, write_series

from data_prep.build import build
from data_prep.dicom import find_series
from data_prep.dicom.codes import segment_code
from data_prep.dicom.names import case_name
from data_prep.dicom.seg_write import Algorithm, write_seg
from data_prep.errors import ConfigError, DataError
from data_prep.known_files import file_digest
from data_prep.label_file import write_label_file
from data_prep.naming import named
from monai_hybrid.gallery.cases import read_collection
from monai_hybrid.reporting.predicted import collection_of, pictures, volumes
from monai_hybrid.viewing.answers import Answers

pytest.importorskip("highdicom")
LABELS = [(0, "background", "#000000"), (3, "LV", "#ff0000"), (7, "RV", "#00ff00")]


def mask_of(shape: tuple[int, int, int]) -> np.ndarray:
    """Class indices (X, Y, Z): one corner, and a row of it."""
    mask = np.zeros(shape, np.uint8)
    mask[:4, :5, 1:4], mask[:4, 2, 1:4] = 1, 2
    return mask


def predicted(tmp_path: Path, keep: bool = False) -> tuple[Path, Written, str]:
    """The folder that prediction leaves of one series, the series, and the name of the case."""
    made = write_series(tmp_path / "scans/deep", directions=oblique())
    (series,) = find_series(tmp_path / "scans")
    with named(keep):
        case = case_name(series)
    out = tmp_path / "masks"
    out.mkdir()
    segments = [(name, segment_code(name)) for _, name, _ in LABELS[1:]]
    write_seg(mask_of(series.shape), series, segments, Algorithm("test", "1"), out / f"{case}_seg.dcm")
    write_label_file(out, LABELS)
    row = f"{case},done,,,1.5,2.5,ml,DICOM series 3 (CT; 5 slices),{file_digest(series.files[0])},{case}_seg.dcm,0"
    heading = "case_id,status,flag,error,volume_LV,volume_RV,unit,image,image_digest,mask,made_from"
    (out / "quality.csv").write_text(f"{heading}\n{row}\n")
    (out / "run.json").write_text(json.dumps({"settings": {"input": str(tmp_path / "scans")}}))
    return out, made, case


@pytest.mark.parametrize("keep", [False, True])
def test_series_and_mask_are_shown_as_they_are(keep: bool, tmp_path: Path) -> None:
    folder, made, case = predicted(tmp_path, keep)
    collection = read_collection(folder)
    answers = Answers(collection, folder / "corrected")
    assert [(one.case_id, one.note) for one in collection.cases] == [(case, "")]
    shown = nib.Nifti1Image.from_bytes(b"".join(answers.image(0, "0").pieces))
    np.testing.assert_array_equal(np.asanyarray(shown.dataobj), made.expected())
    assert np.abs(shown.affine - made.affine).max() < 1e-4
    packed, headers = answers.mask(0, "")
    index = np.frombuffer(gzip.decompress(packed), np.uint8).reshape([int(n) for n in headers["X-Shape"].split(",")], order="F")
    np.testing.assert_array_equal(index, mask_of(index.shape))
    assert answers.thumbnail(0).startswith(b"\x89PNG")
    private = collection.cases[0].images[0].parent
    assert {path.name for path in private.iterdir()} == {f"{case}.nii", f"{case}_seg.nii"}
    assert private.stat().st_mode & 0o077 == 0, "nobody else may read it"
    assert {path.name for path in folder.iterdir()} == {f"{case}_seg.dcm", "labels.txt", "quality.csv", "run.json"}
    del answers, collection, shown
    import gc

    gc.collect()
    assert not private.exists()


def test_a_corrected_label_is_kept_with_its_image_and_can_be_built(tmp_path: Path) -> None:
    folder, made, case = predicted(tmp_path)
    place = folder / "corrected"
    answers = Answers(read_collection(folder), place)
    drawing = mask_of((10, 12, 5))
    drawing[6:8, 6:8, 2] = 1
    for again in (False, True):
        told = answers.save(0, gzip.compress(drawing.tobytes(order="F")), "me", again)
    assert told["changed"] == 4 and answers.mask(0, "")[1]["X-Saved"] == "yes"
    label = nib.load(place / f"labels/{case}.nii.gz")
    assert np.unique(np.asarray(label.dataobj)).tolist() == [0, 3, 7] and np.abs(label.affine - made.affine).max() < 1e-4
    image = nib.load(place / f"images/{case}.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), made.expected())
    sidecar = json.loads((place / f"labels/{case}.json").read_text())
    assert sidecar["corrected_from"] == str(folder / f"{case}_seg.dcm")
    assert sidecar["image"] == [str(place / f"images/{case}.nii.gz")]
    told = build(place, tmp_path / "prepared")
    assert "1" in told.patients
    written = b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
    assert not any(word.encode() in written for word in PLANTED.values())
    (place / f"images/{case}.nii.gz").write_bytes(b"mine")
    with pytest.raises(DataError, match="another image is there, and is kept"):
        answers.save(0, gzip.compress(drawing.tobytes(order="F")), "me", True)


def test_the_report_shows_pictures_and_planes_of_them_and_keeps_no_file(tmp_path: Path) -> None:
    folder, _, case = predicted(tmp_path)
    collection, why_not = collection_of(folder)
    assert collection is not None and why_not == ""
    shown, (volume,) = pictures(collection), volumes(collection)
    assert [one["case"] for one in shown["cases"]] == [case] and shown["missing"] == [] and shown["rest"] == 0
    assert (volume.case, np.unique(volume.prediction).tolist()) == (case, [0, 1, 2])
    assert list(collection.cases[0].images[0].parent.iterdir()) == []
    (tmp_path / "scans").rename(tmp_path / "moved")
    collection, _ = collection_of(folder)
    assert collection is not None
    (told,) = pictures(collection)["missing"]
    assert told.startswith(f"{case}: its DICOM series is not there") and volumes(collection) == []


def test_scans_that_were_moved_are_found_where_the_user_says(tmp_path: Path) -> None:
    folder, _, case = predicted(tmp_path)
    (tmp_path / "scans").rename(tmp_path / "moved")
    (one,) = read_collection(folder).cases
    assert "its DICOM series is not there. Add --images FOLDER" in one.note
    collection = read_collection(folder, tmp_path / "moved")
    assert collection.cases[0].note == "" and Answers(collection, folder).thumbnail(0)
    write_series(tmp_path / "others")
    answers = Answers(read_collection(folder, tmp_path / "others"), folder)
    with pytest.raises(DataError, match=f"case {case}: no series in .*others has this name with the present key"):
        answers.image(0, "0")
    (folder / f"{case}_seg.dcm").unlink()
    assert "its DICOM-SEG is not in the folder" in read_collection(folder, tmp_path / "moved").cases[0].note


def test_a_series_that_the_table_does_not_know_is_not_shown(tmp_path: Path) -> None:
    folder, _, _ = predicted(tmp_path)
    table = folder / "quality.csv"
    text = table.read_text()
    (digest,) = [cell for cell in text.split(",") if len(cell) == 32]
    table.write_text(text.replace(digest, ""))
    (one,) = read_collection(folder).cases
    assert f"If both are yours: --images {tmp_path / 'scans'}" in one.note
    table.write_text(text.replace(digest, "0" * 32))
    with pytest.raises(DataError, match="the table does not show that the mask was made from it"):
        Answers(read_collection(folder), folder).thumbnail(0)
    assert Answers(read_collection(folder, tmp_path / "scans"), folder).thumbnail(0)


@pytest.mark.parametrize("name", ["../../scan", "sub-a_ser-abc123/../x", "scan"])
def test_a_case_that_no_series_can_be_called_opens_no_file(name: str, tmp_path: Path) -> None:
    folder, _, case = predicted(tmp_path)
    text = (folder / "quality.csv").read_text()
    (folder / "quality.csv").write_text(text.replace(f"{case},", f"{name},"))
    (one,) = read_collection(folder).cases
    assert one.note == "no DICOM series can have this name; predict again" and one.images == () and one.dicom is None


def test_a_folder_of_dicom_is_told_what_comes_first(tmp_path: Path) -> None:
    write_series(tmp_path / "scans")
    with pytest.raises(ConfigError, match=r"scans: DICOM; .* Type: monai-hybrid predict .*/scans --model MODEL --output masks"):
        read_collection(tmp_path / "scans")
