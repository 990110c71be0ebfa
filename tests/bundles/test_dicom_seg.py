"""predict of DICOM series: the DICOM-SEG holds the mask of the NIfTI way, voxel for voxel, and others can read it."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from command_line import printed, typed
from dicom_files import CORONAL, PLANTED, SAGITTAL, oblique, save, write_enhanced, write_series
from prediction_runs import Threshold, predict, quality, random_model, threshold_model, visible
from seg_files import complaints, sources_named, voxels

from data_prep.atomic import neighbour
from data_prep.dicom import find_series, write_nifti
from data_prep.dicom.names import case_name
from monai_hybrid.dicom_border import PRIVATE
from monai_hybrid.errors import ConfigError, DataError, EnvironmentFault
from monai_hybrid.weights import read_card, save_weights

hd = pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")
WINDOW = (0.0, 1000.0)


def shells(shape: tuple[int, int, int] = (8, 14, 12)) -> Any:
    """A lopsided ball of three grey levels, stored values (slices, rows, columns)."""
    x = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    radius = np.sqrt((x[0] - 0.2) ** 2 + (x[1] * 1.3 + 0.1) ** 2 + (x[2] + 0.15) ** 2)
    return np.select([radius < 0.45, radius < 0.8], [1000, 520], 0).astype(np.int16)


def settings(tmp_path: Path, **more: Any) -> dict[str, Any]:
    model = threshold_model(tmp_path / "model", window=WINDOW)
    return {**model, "spacing": [0.75, 0.5, 2.5], "denoising_score": False, "progress_bar": False, **more}


def nifti_way(folder: Path, tmp_path: Path, **more: Any) -> Any:
    """The mask (X, Y, Z) as class index, predicted from a NIfTI file of the series."""
    (series,) = find_series(folder)
    image = write_nifti(series, tmp_path / "as_nifti/scan.nii.gz")
    assert predict("few_shot_finetune", input=image, output_dir=tmp_path / "nifti_out", **settings(tmp_path, **more)) is None
    return np.asarray(nib.load(tmp_path / "nifti_out/scan_seg.nii.gz").dataobj) // 10


CASES = {
    "axial": {},
    "reversed_files": {"order": [7, 6, 5, 4, 3, 2, 1, 0]},
    "shuffled_files": {"order": [3, 0, 7, 1, 6, 2, 5, 4]},
    "oblique": {"directions": oblique()},
    "sagittal": {"directions": SAGITTAL, "modality": "MR", "intercepts": 0},
    "coronal": {"directions": CORONAL},
    "downward": {"directions": ((1, 0, 0), (0, -1, 0))},
}


@pytest.mark.parametrize("name", [*CASES, "enhanced", "enhanced_shuffled"])
def test_the_seg_is_the_mask_of_the_nifti_way(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    if name.startswith("enhanced"):
        order = [3, 0, 7, 1, 6, 2, 5, 4] if name.endswith("shuffled") else None
        source = write_enhanced(folder / "deep/er/one", shells(), intercepts=0, order=order, directions=oblique(10))
    else:
        source = write_series(folder, shells(), **{"intercepts": 0, **CASES[name]})  # type: ignore[arg-type]
    expected = nifti_way(folder, tmp_path)
    assert predict("few_shot_finetune", input=folder, output_dir=tmp_path / "out", **settings(tmp_path)) is None
    (seg,) = (tmp_path / "out").glob("*_seg.dcm")
    assert visible(tmp_path / "out") == ["quality.csv", seg.name]
    assert set(np.unique(expected)) == {0, 1, 2}
    np.testing.assert_array_equal(voxels(seg, expected.shape, source.affine), expected)
    assert complaints(seg) == []
    dataset = pydicom.dcmread(seg)
    images = [pydicom.dcmread(file) for file in source.files]
    assert sorted(sources_named(dataset)) == sorted(image.SOPInstanceUID for image in images)
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", *PLANTED, "StudyID", "StudyDate"):
        assert dataset[keyword].value == images[0][keyword].value, keyword
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        (image,) = frame.DerivationImageSequence[0].SourceImageSequence
        assert image.ReferencedSOPInstanceUID in sources_named(dataset)
    highdicoms = hd.seg.segread(seg).get_volume(combine_segments=True)
    assert np.bincount(highdicoms.array.ravel(), minlength=3)[1:].tolist() == np.bincount(expected.ravel())[1:].tolist()


@pytest.mark.parametrize(("taken", "trained_on", "said"), [("CT", "MRI", True), ("MR", "MRI", False), ("CT", "unknown", False)])
def test_a_series_of_another_modality_than_the_models_is_flagged(
    taken: str, trained_on: str, said: bool, tmp_path: Path
) -> None:
    write_series(tmp_path / "in", shells(), modality=taken, intercepts=0)
    given = settings(tmp_path)
    card = {**(read_card(given["model"]) or {}), "modality": trained_on}
    save_weights(Threshold().state_dict(), tmp_path / "model", card)
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **given) is None
    (row,) = quality(tmp_path / "out").values()
    assert ("the series is CT, the model was trained on MRI" in row["flag"]) is said


def test_frames_name_the_image_that_lies_at_their_place(tmp_path: Path) -> None:
    source = write_series(tmp_path / "in", shells(), intercepts=0, order=[7, 6, 5, 4, 3, 2, 1, 0], directions=oblique(30))
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path)) is None
    places = {image.SOPInstanceUID: image.ImagePositionPatient for image in map(pydicom.dcmread, source.files)}
    (seg,) = (tmp_path / "out").glob("*.dcm")
    for frame in pydicom.dcmread(seg).PerFrameFunctionalGroupsSequence:
        named = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        np.testing.assert_allclose(frame.PlanePositionSequence[0].ImagePositionPatient, places[named], atol=1e-6)


def test_other_readers_take_it(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    source = write_series(tmp_path / "in", shells(), intercepts=0)
    expected = nifti_way(tmp_path / "in", tmp_path)
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path)) is None
    (seg,) = (tmp_path / "out").glob("*.dcm")
    image = sitk.ReadImage(str(seg))
    frames = pydicom.dcmread(seg).PerFrameFunctionalGroupsSequence
    assert image.GetSize() == (12, 14, len(frames)) and int((sitk.GetArrayFromImage(image) > 0).sum()) == int(
        (expected > 0).sum()
    )
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ source.affine  # LPS
    grid = hd.VolumeGeometry(affine[:, [2, 1, 0, 3]], (8, 14, 12), "PATIENT", frame_of_reference_uid=source.frame_uid)
    volume = hd.seg.segread(seg).get_volume(combine_segments=True).match_geometry(grid)
    np.testing.assert_array_equal(volume.array.transpose(2, 1, 0), expected)
    # SimpleITK as the reader on the way in: its NIfTI file has the same mask.
    scan = sitk.ReadImage([str(file) for file in source.files])
    sitk.WriteImage(scan, str(tmp_path / "itk.nii.gz"))
    done = predict("few_shot_finetune", input=tmp_path / "itk.nii.gz", output_dir=tmp_path / "itk", **settings(tmp_path))
    itk = nib.load(tmp_path / "itk/itk_seg.nii.gz")
    assert done is None and np.array_equal(np.asarray(itk.dataobj) // 10, voxels(seg, expected.shape, itk.affine))


def test_segments_are_coded_and_the_card_goes_before_the_table(tmp_path: Path) -> None:
    write_series(tmp_path / "in", shells(), intercepts=0)
    given = settings(tmp_path)
    card = read_card(given["model"])
    assert card is not None
    card["labels"][1]["name"], card["labels"][2]["name"] = "kidney_left", "odd thing"
    card["codes"] = {"odd thing": {"value": "999", "scheme": "99TEST", "meaning": "Odd thing"}}
    save_weights(Threshold().state_dict(), tmp_path / "model", card)
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **given) is None
    (seg,) = (tmp_path / "out").glob("*.dcm")
    left, odd = pydicom.dcmread(seg).SegmentSequence
    kind = left.SegmentedPropertyTypeCodeSequence[0]
    side = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    assert (left.SegmentLabel, kind.CodeValue, kind.CodeMeaning, side.CodeMeaning) == (
        "kidney_left",
        "64033007",
        "Kidney",
        "Left",
    )
    kind = odd.SegmentedPropertyTypeCodeSequence[0]
    assert (odd.SegmentLabel, kind.CodeValue, kind.CodingSchemeDesignator) == ("odd thing", "999", "99TEST")
    (algorithm,) = odd.SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmName == "monai_hybrid" and algorithm.AlgorithmVersion == "0.1.0"
    assert algorithm.AlgorithmParameters.startswith("model=sha256 ") and complaints(seg) == []


def test_an_empty_mask_is_a_valid_seg_that_says_what_was_looked_for(tmp_path: Path) -> None:
    source = write_series(tmp_path / "in", np.zeros((5, 12, 10), np.int16) + 3, intercepts=0)
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path)) is None
    (row,) = quality(tmp_path / "out").values()
    assert row["status"] == "done" and row["flag"].startswith("nothing found")
    seg = tmp_path / "out" / row["mask"]
    dataset = pydicom.dcmread(seg)
    assert dataset.NumberOfFrames == 2 and [one.SegmentLabel for one in dataset.SegmentSequence] == ["grey", "white"]
    assert not voxels(seg, (10, 12, 5), source.affine).any() and complaints(seg) == []
    assert not hd.seg.segread(seg).get_volume(combine_segments=True).array.any()
    assert len(sources_named(dataset)) == 5


def test_a_segment_without_a_voxel_is_described(tmp_path: Path) -> None:
    source = write_series(tmp_path / "in", np.minimum(shells(), 520), intercepts=0)
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path)) is None
    (seg,) = (tmp_path / "out").glob("*.dcm")
    read = hd.seg.segread(seg)
    assert read.number_of_segments == 2 and complaints(seg) == []
    assert set(np.unique(voxels(seg, (12, 14, 8), source.affine))) == {0, 1}


def test_the_nifti_mask_beside_it_on_request(tmp_path: Path) -> None:
    write_series(tmp_path / "in", shells(), intercepts=0)
    expected = nifti_way(tmp_path / "in", tmp_path)
    given = settings(tmp_path, also_nifti=True, save_entropy=True, statistics=True, preview=True)
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **given) is None
    name = case_name(find_series(tmp_path / "in")[0])
    masks = [f"{name}_{end}" for end in ("entropy.nii.gz", "seg.dcm", "seg.nii.gz")]
    beside = [f"{name}_preview.png", "statistics.csv", "statistics.json"]
    assert visible(tmp_path / "out") == sorted(["quality.csv", *masks, *beside])
    told = json.loads((tmp_path / "out/statistics.json").read_text())["cases"][name]["structures"]
    assert told["white"]["voxels"] == int((expected == 2).sum()) and told["white"]["mean_image"] == 1000
    for file in beside:
        content = (tmp_path / "out" / file).read_bytes()
        assert not any(word.encode() in content for word in PLANTED.values() if len(word) > 3)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / f"out/{name}_seg.nii.gz").dataobj) // 10, expected)


def test_several_series_and_faults_each_have_their_row(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    good = write_series(folder / "a/b", shells(), intercepts=0, SeriesDescription="sound")
    gap = write_series(folder / "c", shells(), intercepts=0, SeriesDescription="gap")
    gap.files[3].unlink()
    write_series(folder / "d", shells()[:3], intercepts=0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(folder / "broken", shells()[:1], Rows=0)
    write_series(folder / "e", shells(), modality="MR", intercepts=0, PatientID="other")
    error = predict("few_shot_finetune", input=folder, output_dir=tmp_path / "out", **settings(tmp_path))
    assert isinstance(error, DataError) and "2 of 4 cases failed" in str(error)
    rows = quality(tmp_path / "out")
    names = {case_name(one): one for one in find_series(folder)}
    done = {names[case].uid for case, row in rows.items() if row["status"] == "done"}
    assert len(done) == 2 and good.series_uid in done and gap.series_uid not in done
    (missing,) = (row["error"] for case, row in rows.items() if case in names and names[case].uid == gap.series_uid)
    assert missing.startswith("D510: series 3 (CT, 7 slices): 1 slice is missing") and "Fetch the series again" in missing
    assert rows["unreadable"]["error"].startswith("1 DICOM file cannot be read: ")
    table = (tmp_path / "out/quality.csv").read_text()
    assert not any(word in table for value in PLANTED.values() for word in value.split("^"))
    assert len(list((tmp_path / "out").glob("*_seg.dcm"))) == 2


def test_one_file_stands_for_its_series_and_words_choose(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    first = write_series(folder, shells(), intercepts=0, names="a{}", SeriesDescription="T1 axial", SeriesNumber=4)
    write_series(folder, shells(), intercepts=0, names="b{}", SeriesDescription="T2", SeriesNumber=5)
    case = next(case_name(one) for one in find_series(folder) if one.uid == first.series_uid)
    given = settings(tmp_path)
    assert predict("few_shot_finetune", input=first.files[2], output_dir=tmp_path / "one", **given) is None
    for number, words in enumerate((first.series_uid, "T1*", 4)):
        out = tmp_path / f"out{number}"
        assert predict("few_shot_finetune", input=folder, output_dir=out, series=words, **given) is None
        assert visible(out) == visible(tmp_path / "one") == ["quality.csv", f"{case}_seg.dcm"]
    error = predict("few_shot_finetune", input=folder, output_dir=tmp_path / "no", series="T3", **given)
    assert isinstance(error, ConfigError) and "--series T3: no series has this name" in str(error)
    image = write_nifti(find_series(folder)[0], tmp_path / "x.nii.gz")
    error = predict("few_shot_finetune", input=image, output_dir=tmp_path / "no", series="T1", **given)
    assert isinstance(error, ConfigError) and "holds no DICOM series. Leave it out" in str(error)


def test_finished_series_are_not_done_twice_and_changed_ones_are(tmp_path: Path) -> None:
    source = write_series(tmp_path / "in", shells(), intercepts=0)
    given = settings(tmp_path, input=tmp_path / "in", output_dir=tmp_path / "in/masks")
    assert predict("few_shot_finetune", **given) is None
    (seg,) = (tmp_path / "in/masks").glob("*.dcm")
    before = seg.read_bytes()
    assert predict("few_shot_finetune", **given) is None and seg.read_bytes() == before
    assert predict("few_shot_finetune", overwrite=True, **given) is None and seg.read_bytes() != before
    before = seg.read_bytes()
    changed = pydicom.dcmread(source.files[0])
    changed.PixelData = bytes(len(changed.PixelData))
    changed.RescaleIntercept = 900
    changed.save_as(source.files[0])
    assert predict("few_shot_finetune", **given) is None and seg.read_bytes() != before
    assert len(quality(tmp_path / "in/masks")) == 1


def test_an_enhanced_file_that_says_all_of_each_frame(tmp_path: Path) -> None:
    def by_frame(dataset: Any) -> None:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            frame.PixelMeasuresSequence, frame.PlaneOrientationSequence = [
                [one] for one in (shared.PixelMeasuresSequence[0], shared.PlaneOrientationSequence[0])
            ]
        del shared.PixelMeasuresSequence[0].SliceThickness
        del dataset.SharedFunctionalGroupsSequence

    source = write_enhanced(tmp_path / "in/x", shells(), modality="MR", intercepts=0, change=by_frame)
    expected = nifti_way(tmp_path / "in", tmp_path)
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path)) is None
    (seg,) = (tmp_path / "out").glob("*.dcm")
    np.testing.assert_array_equal(voxels(seg, expected.shape, source.affine), expected)
    assert complaints(seg) == []


def test_one_part_of_a_series_of_two_echoes(tmp_path: Path) -> None:
    uids = {"series_uid": "1.2.3.4", "study_uid": "1.2.3.5", "frame_uid": "1.2.3.6"}
    write_series(tmp_path / "in", shells() // 2, modality="MR", intercepts=0, names="a{}", EchoTime="2.5", **uids)
    second = write_series(tmp_path / "in", shells(), modality="MR", intercepts=0, names="b{}", EchoTime="5", **uids)
    given = settings(tmp_path, input=tmp_path / "in", output_dir=tmp_path / "out")
    error = predict("few_shot_finetune", **given)
    assert isinstance(error, DataError) and "2 of 2 cases failed" in str(error)
    assert all("to take this one: --series EchoTime=" in row["error"] for row in quality(tmp_path / "out").values())
    given["output_dir"] = tmp_path / "chosen"
    assert predict("few_shot_finetune", series="EchoTime=5", **given) is None
    (seg,) = (tmp_path / "chosen").glob("*.dcm")
    named = sources_named(pydicom.dcmread(seg))
    assert sorted(named) == sorted(pydicom.dcmread(file).SOPInstanceUID for file in second.files)
    assert set(np.unique(voxels(seg, (12, 14, 8), second.affine))) == {0, 1, 2}


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    write_series(tmp_path / "in", shells(), intercepts=0)
    left = neighbour(tmp_path / "out" / PRIVATE)
    left = left.with_name(left.name.replace(f"-{os.getpid()}.", "-999999999."))
    left.mkdir(parents=True)
    (left / "x.nii").write_bytes(b"voxels")
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path)) is None
    assert not list((tmp_path / "out").glob(".dicom*")) and len(quality(tmp_path / "out")) == 1


def test_a_file_of_somebody_elses_is_not_written_over(tmp_path: Path) -> None:
    source = write_series(tmp_path / "in", shells(), intercepts=0)
    target = tmp_path / "out" / f"{case_name(find_series(tmp_path / 'in')[0])}_seg.dcm"
    target.parent.mkdir()
    target.write_bytes(source.files[0].read_bytes())
    error = predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path))
    assert isinstance(error, DataError) and target.read_bytes() == source.files[0].read_bytes()
    (row,) = quality(tmp_path / "out").values()
    assert "is there already, and was not written by prediction" in row["error"]
    assert not list((tmp_path / "out").glob(".dicom*"))


@pytest.mark.parametrize(
    "lacking", [("PatientBirthDate", "PatientSex", "StudyTime", "AccessionNumber", "StudyID", "PatientName"), ()]
)
def test_what_a_deidentified_series_lacks_is_filled(lacking: tuple[str, ...], tmp_path: Path) -> None:
    source = write_series(tmp_path / "in", shells(), intercepts=0, SliceThickness="", **dict.fromkeys(lacking))
    expected = nifti_way(tmp_path / "in", tmp_path)
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path)) is None
    (seg,) = (tmp_path / "out").glob("*.dcm")
    dataset = pydicom.dcmread(seg)
    assert all(keyword in dataset and not dataset[keyword].value for keyword in lacking)
    assert complaints(seg) == []
    np.testing.assert_array_equal(voxels(seg, expected.shape, source.affine), expected)


def test_without_a_frame_of_reference_it_is_refused_in_a_sentence(tmp_path: Path) -> None:
    write_series(tmp_path / "in", shells(), intercepts=0, FrameOfReferenceUID=None)
    error = predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path))
    (row,) = quality(tmp_path / "out").values()
    assert isinstance(error, DataError) and "it has no FrameOfReferenceUID" in row["error"]
    assert visible(tmp_path / "out") == ["quality.csv"] and not list((tmp_path / "out").glob(".dicom*"))


def test_directions_that_are_rounded_from_file_to_file(tmp_path: Path) -> None:
    def rounded(index: int, dataset: Any) -> None:
        dataset.ImageOrientationPatient = [f"{float(one):.{4 + index % 3}f}" for one in dataset.ImageOrientationPatient]
        dataset.SpacingBetweenSlices = "-2.5"

    source = write_series(tmp_path / "in", shells(), intercepts=0, directions=oblique(), change=rounded)
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path)) is None
    (seg,) = (tmp_path / "out").glob("*.dcm")
    assert complaints(seg) == [] and len(sources_named(pydicom.dcmread(seg))) == len(source.files)


def test_names_of_other_scripts_go_through(tmp_path: Path) -> None:
    write_series(tmp_path / "in", shells(), intercepts=0, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path)) is None
    (seg,) = (tmp_path / "out").glob("*.dcm")
    assert str(pydicom.dcmread(seg).PatientName) == "Müller^Jörg" and complaints(seg) == []


def test_a_series_of_one_slice_goes_to_a_model_of_pictures(tmp_path: Path) -> None:
    source = write_series(tmp_path / "in", shells()[4:5], intercepts=0)
    model = threshold_model(tmp_path / "flat", dims=2, window=WINDOW)
    given = {**model, "spacing": [0.75, 0.5], "denoising_score": False, "progress_bar": False}
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **given) is None
    (seg,) = (tmp_path / "out").glob("*.dcm")
    assert set(np.unique(voxels(seg, (12, 14, 1), source.affine))) == {0, 1, 2} and complaints(seg) == []


@pytest.mark.parametrize("package", ["pydicom", "highdicom"])
def test_a_missing_extra_is_one_sentence(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path / "in", shells(), intercepts=0)
    given = settings(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("data_prep.foreign.dicom_readable", lambda: package != "pydicom")
    monkeypatch.setattr("monai_hybrid.dicom_border.dicom_readable", lambda: package != "pydicom")
    error = predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **given)
    assert isinstance(error, (EnvironmentFault, DataError))
    assert package in str(error) and 'pip install "monai-hybrid[dicom]"' in str(error)


def test_the_command_line_takes_a_folder_and_says_nothing_of_the_patient(tmp_path: Path) -> None:
    write_series(tmp_path / "in/x", shells(), intercepts=0)
    model = random_model(tmp_path / "model", spacing=2.0)
    said = printed("predict", tmp_path / "in", "--model", model, "--output", tmp_path / "out", "--also-nifti")
    (seg,) = (tmp_path / "out").glob("*_seg.dcm")
    assert complaints(seg) == [] and len(list((tmp_path / "out").glob("*_seg.nii.gz"))) == 1
    outputs = said + "".join(file.read_text() for file in (tmp_path / "out").rglob("*") if file.suffix in (".csv", ".json"))
    assert not [word for value in PLANTED.values() for word in value.split("^") if word in outputs]
    assert "highdicom" not in said and "left alone" not in said and "1.2.826.0.1.3680043" not in said
    assert not list((tmp_path / "out").glob(".dicom*"))


def test_an_interrupt_leaves_no_image_of_the_patient(tmp_path: Path) -> None:
    big = np.random.default_rng(0).integers(0, 1000, (40, 64, 64)).astype(np.int16)
    for number in range(3):
        write_series(tmp_path / f"in/{number}", big, intercepts=0, spacing=(1, 1, 1))
    model = random_model(tmp_path / "model", spacing=0.5)
    words = ["predict", tmp_path / "in", "--model", model, "--output", tmp_path / "out", "--overlap", "0.8"]
    modes: list[int] = []

    def begun() -> bool:
        left = [image.parent for image in (tmp_path / "out").glob(".dicom*/*.nii")]
        modes.extend(folder.stat().st_mode for folder in left)
        return bool(left)

    done = typed(*words, signalled=(signal.SIGTERM, begun))
    assert modes and not any(mode & 0o077 for mode in modes)
    assert done.returncode == 143, done.stdout + done.stderr
    assert not list((tmp_path / "out").glob(".dicom*"))


def test_a_folder_without_any_image_ends_in_a_sentence(tmp_path: Path) -> None:
    source = write_series(tmp_path / "in", shells()[:2], intercepts=0)
    report, broken = pydicom.dcmread(source.files[0]), pydicom.dcmread(source.files[1])
    del report.PixelData, report.Rows, report.Columns
    report.SOPClassUID, broken.Rows = "1.2.840.10008.5.1.4.1.1.88.11", 0
    given = settings(tmp_path)
    save(report, tmp_path / "only/report")
    error = predict("few_shot_finetune", input=tmp_path / "only", output_dir=tmp_path / "out", **given)
    assert isinstance(error, DataError) and "only: its DICOM files hold no series of images to segment. Type: " in str(error)
    save(broken, tmp_path / "only/broken")
    error = predict("few_shot_finetune", input=tmp_path / "only", output_dir=tmp_path / "out", **given)
    assert isinstance(error, DataError) and "1 DICOM file cannot be read: " in str(error) and "Rows 0" in str(error)
    assert not (tmp_path / "out").exists()


def test_loader_processes_make_the_same_masks_and_leave_nothing(tmp_path: Path) -> None:
    for number in range(3):
        write_series(tmp_path / f"in/{number}", np.roll(shells(), number, axis=2), intercepts=0)
    given = settings(tmp_path, input=tmp_path / "in")
    assert predict("few_shot_finetune", output_dir=tmp_path / "alone", **given) is None
    assert predict("few_shot_finetune", output_dir=tmp_path / "two", num_workers=2, **given) is None
    assert visible(tmp_path / "alone") == visible(tmp_path / "two") and not list((tmp_path / "two").glob(".dicom*"))
    for seg in (tmp_path / "alone").glob("*.dcm"):
        assert pydicom.dcmread(seg).PixelData == pydicom.dcmread(tmp_path / "two" / seg.name).PixelData


def test_a_full_disk_ends_the_run_and_keeps_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path / "in", shells(), intercepts=0)

    def full(series: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device: 9 MB needed, 1 MB free")

    monkeypatch.setattr("data_prep.dicom.write_nifti", full)
    error = predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path))
    assert isinstance(error, EnvironmentFault) and "9 MB needed, 1 MB free); free some space" in str(error)
    assert not list((tmp_path / "out").glob(".dicom*")) and not list((tmp_path / "out").glob("*.dcm"))


def test_dicom_beside_other_images_is_left_alone_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "in/dicom", shells(), intercepts=0)
    write_nifti(find_series(tmp_path / "in")[0], tmp_path / "in/scan.nii.gz")
    assert predict("few_shot_finetune", input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path)) is None
    assert visible(tmp_path / "out") == ["quality.csv", "scan_seg.nii.gz"]
    assert "holds both DICOM and other images, and is skipped; give the folder of its series" in caplog.text
