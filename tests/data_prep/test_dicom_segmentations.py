"""Labels from DICOM segmentations: on the grid of their series, by the names of their segments, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from dicom_files import AXIAL, SAGITTAL, Written, oblique, some_pixels, write_series
from segmentation_files import highdicom, pydicom, write_segmentation
from typer.testing import CliRunner

from data_prep import written_labels
from data_prep.cli import app

SHAPE = (5, 12, 10)  # slices, rows, columns


def blocks(shape: tuple[int, int, int] = SHAPE, overlap: bool = False) -> Any:
    """Two segments (slices, rows, columns, 2) in the middle slices; others stay empty."""
    masks = np.zeros((*shape, 2), np.uint8)
    masks[1:3, 2:7, 3:6, 0] = 1
    masks[2:4, 5 if overlap else 8 : 11, 4:9, 1] = 1
    return masks


WRITTEN: dict[str, tuple[Path, list[Written], list[bytes]]] = {}


def patients(root: Path, count: int = 4, **more: Any) -> list[Written]:
    """A series each; the same for each test that asks for such ones."""
    key = repr((count, more))
    if key not in WRITTEN:
        series = [
            write_series(root / f"p{n}", some_pixels(*SHAPE, seed=n), PatientID=f"id{n}", PatientName=f"N{n}^A", **more)
            for n in range(count)
        ]
        WRITTEN[key] = root, series, [file.read_bytes() for one in series for file in one.files]
        return series
    first, series, contents = WRITTEN[key]
    again = [replace(one, files=tuple(root / file.relative_to(first) for file in one.files)) for one in series]
    for file, content in zip((file for one in again for file in one.files), contents, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return again


def labelled(root: Path, names: tuple[str, str] = ("liver", "tumour"), **more: Any) -> list[Written]:
    """Patients with a segmentation each; the masks differ, as equal ones would be a finding."""
    written = patients(root, **more)
    for n, series in enumerate(written):
        write_segmentation(root / f"p{n}/seg.dcm", series, np.roll(blocks(), n % 2, axis=2), names)
    return written


def check(root: Path, *options: str) -> tuple[list[dict[str, Any]], str]:
    out = root.with_name("findings.json")
    result = CliRunner().invoke(app, ["check", str(root), "--json", str(out), *options])
    assert "Traceback" not in result.output, result.output
    return json.loads(out.read_text())["findings"], result.output


def build(root: Path, *options: str) -> tuple[dict[str, nib.Nifti1Image], dict[str, Any]]:
    out = root.with_name("prepared")
    result = CliRunner().invoke(app, ["build", str(root), "--output", str(out), *options])
    assert result.exit_code == 0, result.output + result.stderr
    entries = json.loads((out / "datalist.json").read_text())
    cases = [entry for split in ("training", "validation", "testing") for entry in entries[split]]
    labels = {entry["case_id"]: nib.load(out / entry["label"]) for entry in cases if "label" in entry}
    for entry in cases:
        if "label" in entry:
            assert np.array_equal(nib.load(out / entry["image"]).affine, labels[entry["case_id"]].affine)
    return labels, json.loads((out / "dataset.json").read_text())


def codes_of(findings: list[dict[str, Any]], level: str = "error") -> set[str]:
    return {finding["code"] for finding in findings if finding["level"] == level}


@pytest.mark.parametrize("directions", [AXIAL, SAGITTAL, oblique()], ids=["axial", "sagittal", "oblique"])
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP", "FRACTIONAL"])
def test_a_segmentation_is_the_label_of_its_series(kind: str, directions: Any, tmp_path: Path) -> None:
    root = tmp_path / "export"
    order = [3, 0, 4, 1, 2]
    series = patients(root, directions=directions, order=order)
    for n, one in enumerate(series):
        masks = np.roll(blocks(), n % 2, axis=2)
        stored = masks.astype(np.float32) if kind == "FRACTIONAL" else masks
        write_segmentation(root / f"segs/{n}.dcm", one, stored, ["liver", "tumour"], kind=kind)
    labels, dataset = build(root)
    assert [(entry["name"], entry["value"]) for entry in dataset["labels"]] == [
        ("background", 0),
        ("liver", 1),
        ("tumour", 2),
    ]
    expected = [(m[..., 0] + 2 * m[..., 1]).transpose(2, 1, 0) for m in (blocks(), np.roll(blocks(), 1, axis=2))]
    found = [np.asarray(label.dataobj) for label in labels.values()]
    assert len(found) == 4 and all(any(np.array_equal(one, other) for other in expected) for one in found)
    for one in series:  # the independent reader: highdicom's own
        seg = highdicom.seg.segread(root / f"segs/{series.index(one)}.dcm")
        volume = (
            seg.get_volume(combine_segments=True, allow_missing_positions=True, rescale_fractional=False, relabel=False)
            if kind != "FRACTIONAL"
            else None
        )
        if volume is not None:
            assert volume.array.sum() == expected[series.index(one) % 2].sum()


def test_segments_of_one_name_are_one_label_and_numbers_may_differ(tmp_path: Path) -> None:
    root = tmp_path / "export"
    series = patients(root)
    for n, one in enumerate(series):
        masks = np.roll(blocks(), n % 2, axis=2)
        names = ["liver", "tumour"] if n % 2 else ["tumour", "liver"]
        write_segmentation(root / f"{n}.dcm", one, masks if n % 2 else masks[..., ::-1], names)
    labels, dataset = build(root)
    names = {entry["name"]: entry["value"] for entry in dataset["labels"]}
    for label in labels.values():
        voxels = np.asarray(label.dataobj)
        assert (voxels == names["liver"]).sum() == blocks()[..., 0].sum()
        assert (voxels == names["tumour"]).sum() == blocks()[..., 1].sum()


def test_several_files_of_a_series_are_joined(tmp_path: Path) -> None:
    root = tmp_path / "export"
    for n, one in enumerate(patients(root)):
        masks = np.roll(blocks(), n % 2, axis=2)
        write_segmentation(root / f"{n}a.dcm", one, masks[..., :1], ["liver"])
        write_segmentation(root / f"{n}b.dcm", one, masks[..., 1:], ["tumour"])
    labels, _ = build(root)
    assert {tuple(np.unique(np.asarray(label.dataobj))) for label in labels.values()} == {(0, 1, 2)}


def test_overlapping_segments_are_refused_by_name(tmp_path: Path) -> None:
    root = tmp_path / "export"
    series = labelled(root)
    write_segmentation(root / "p0/seg.dcm", series[0], blocks(overlap=True), ["liver", "tumour"])
    findings, _ = check(root)
    assert codes_of(findings) == {"D533"}
    message = next(finding["message"] for finding in findings if finding["code"] == "D533")
    assert message == "its segments 'liver' and 'tumour' overlap, first at voxel (4, 5, 2)"
    out = tmp_path / "prepared"
    result = CliRunner().invoke(app, ["build", str(root), "--output", str(out)])
    assert result.exit_code == 3 and "'liver' and 'tumour' overlap" in result.stderr and not out.exists()


def test_overlap_within_one_name_is_none(tmp_path: Path) -> None:
    root = tmp_path / "export"
    series = labelled(root, names=("liver", "liver"))
    write_segmentation(root / "p0/seg.dcm", series[0], blocks(overlap=True), ["liver", "liver"])
    assert codes_of(check(root)[0]) == set()


def test_shares_are_refused_until_accepted(tmp_path: Path) -> None:
    root = tmp_path / "export"
    for n, one in enumerate(patients(root)):
        masks = np.roll(blocks(), n % 2, axis=2).astype(np.float32)
        masks[:, :, 3] *= 0.25
        write_segmentation(root / f"{n}.dcm", one, masks, ["liver", "tumour"], kind="FRACTIONAL")
    findings, _ = check(root)
    assert codes_of(findings) == {"D534"} and "--accept D534" in findings[0]["remedy"]
    labels, _ = build(root, "--accept", "D534")
    assert all(set(np.unique(np.asarray(label.dataobj))) == {0, 1, 2} for label in labels.values())
    assert not any(np.asarray(label.dataobj)[3].any() for label in labels.values())


def off(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        series = patients(root)
        for n, one in enumerate(series):
            masks = np.roll(blocks(), n % 2, axis=2)
            write_segmentation(root / f"{n}.dcm", one, masks, ["liver", "tumour"], change=change if n == 0 else None)

    return make


def _moved(seg: Any) -> None:
    for group in seg.PerFrameFunctionalGroupsSequence:
        group.PlanePositionSequence[0].ImagePositionPatient[0] += 0.3


def _without_positions(seg: Any) -> None:
    for group in seg.PerFrameFunctionalGroupsSequence:
        del group.PlanePositionSequence


def _other_frame(seg: Any) -> None:
    seg.FrameOfReferenceUID = "1.2.3.4"


def _wider(seg: Any) -> None:
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1, 1]


def _elsewhere(seg: Any) -> None:
    seg.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3.4"
    for group in seg.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence


def _nameless(seg: Any) -> None:
    seg.SegmentSequence[1].SegmentLabel = ""
    del seg.SegmentSequence[1].SegmentedPropertyTypeCodeSequence


def _unreferenced(seg: Any) -> None:
    del seg.ReferencedSeriesSequence
    for group in seg.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence


def _undescribed(seg: Any) -> None:
    del seg.SegmentSequence[1]


def _unrelated(seg: Any) -> None:
    _unreferenced(seg)
    seg.FrameOfReferenceUID = "1.2.3.4"


def _cut(seg: Any) -> None:
    seg.PixelData = seg.PixelData[:4]


def _of_no_segment(seg: Any) -> None:
    for group in seg.PerFrameFunctionalGroupsSequence:
        group.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 0


def _frame_twice(seg: Any) -> None:
    first, second = list(seg.PerFrameFunctionalGroupsSequence)[:2]
    second.PlanePositionSequence[0].ImagePositionPatient = first.PlanePositionSequence[0].ImagePositionPatient


def _called_label_map(seg: Any) -> None:
    seg.SegmentationType = "LABELMAP"


def _one_number(seg: Any) -> None:
    for segment in seg.SegmentSequence:
        segment.SegmentNumber = 1


def _of_another_kind(seg: Any) -> None:
    seg.SegmentationType = "Mueller"


def _several_values(seg: Any) -> None:
    pixels = seg.pixel_array.astype(np.uint8) * (1 + np.arange(10, dtype=np.uint8) % 3)
    seg.BitsAllocated, seg.BitsStored, seg.HighBit, seg.PixelData = 8, 8, 7, pixels.tobytes()


def _spaced_out(seg: Any) -> None:
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = ["1e300", "1e300"]


@pytest.mark.parametrize(
    "change, code, words",
    [
        (_moved, "D535", "do not lie on the voxels"),
        (_wider, "D535", "do not lie on the voxels"),
        (_without_positions, "D535", "do not say where they lie"),
        (_other_frame, "D535", "another frame of reference"),
        (_nameless, "D538", "segment 2 has no name"),
        (_unrelated, "D532", "it names no series, and 0 series here fit it"),
        (_undescribed, "D004", "segment 2, which is not described"),
        (_cut, "D004", "cannot be decoded"),
        (_of_no_segment, "D004", "a frame belongs to segment 0, which is not described"),
        (_frame_twice, "D004", "two frames of one segment lie on the same image"),
        (_called_label_map, "D538", "its frames are of single segments"),
        (_one_number, "D538", "two of its segments have the same number"),
        (_of_another_kind, "D538", "its SegmentationType is none; expected BINARY"),
        (_several_values, "D004", "its SegmentationType is BINARY, and its pixels have several values"),
        (_spaced_out, "D535", "do not say where they lie"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_code(change: Callable[[Any], None], code: str, words: str, tmp_path: Path) -> None:
    off(change)(tmp_path / "export")
    findings, _ = check(tmp_path / "export", "--allow-unlabelled")
    assert code in codes_of(findings), findings
    told = next(finding for finding in findings if finding["code"] == code)
    assert words in told["message"] and told["remedy"]


def test_a_segmentation_of_a_series_that_is_not_here_is_left_out(tmp_path: Path) -> None:
    off(_elsewhere)(tmp_path / "export")
    findings, _ = check(tmp_path / "export", "--allow-unlabelled")
    assert "D531" in codes_of(findings, "warning") and codes_of(findings) == set()


def test_without_references_the_frame_of_reference_tells(tmp_path: Path) -> None:
    off(_unreferenced)(tmp_path / "export")
    labels, _ = build(tmp_path / "export")
    assert len(labels) == 4


def test_references_of_the_frames_are_enough(tmp_path: Path) -> None:
    def change(seg: Any) -> None:
        del seg.ReferencedSeriesSequence

    off(change)(tmp_path / "export")
    assert len(build(tmp_path / "export")[0]) == 4


def test_two_readers_of_one_series_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "export"
    series = labelled(root)
    write_segmentation(root / "second.dcm", series[0], blocks(), ["liver", "tumour"])
    findings, _ = check(root)
    assert codes_of(findings) == {"D536"}
    assert "another file has a segment 'liver' of this series" in findings[0]["message"]


def test_a_cropped_segmentation_is_put_into_its_place(tmp_path: Path) -> None:
    root = tmp_path / "export"
    series = patients(root)
    for n, one in enumerate(series):
        masks = np.roll(blocks(), n % 2, axis=2)
        write_segmentation(root / f"{n}.dcm", one, masks, ["liver", "tumour"])
        if n:
            continue
        seg = pydicom.dcmread(root / f"{n}.dcm")
        frames = seg.pixel_array[:, 1:, 2:]
        seg.Rows, seg.Columns = frames.shape[1:]
        seg.PixelData = pydicom.pixels.pack_bits(frames.astype(np.uint8).ravel())
        for group in seg.PerFrameFunctionalGroupsSequence:
            place = group.PlanePositionSequence[0].ImagePositionPatient
            place[0], place[1] = float(place[0]) + 2 * 0.75, float(place[1]) + 1 * 0.5
        seg.save_as(root / f"{n}.dcm")
    labels, _ = build(root)
    sums = {(np.asarray(label.dataobj) == 1).sum() for label in labels.values()}
    assert sums == {blocks()[..., 0].sum()}


def test_masks_of_a_label_folder_come_before_segmentations(tmp_path: Path) -> None:
    root = tmp_path / "export"
    for n, one in enumerate(labelled(root)):
        mask = np.zeros(SHAPE[::-1], np.uint8)
        mask[2:4, 2 + n : 4 + n, 1:3] = 7
        (root / "labels").mkdir(exist_ok=True)
        image = nib.Nifti1Image(mask, one.affine)
        image.header["descrip"] = b"N0^Jane"
        image.to_filename(root / f"labels/p{n}.nii.gz")
    labels, _ = build(root)
    assert {int(np.asarray(label.dataobj).max()) for label in labels.values()} == {7}
    assert all(Path(label.get_filename()).name.startswith("sub-") for label in labels.values())
    assert {label.header["descrip"].item() for label in labels.values()} == {b""}


def test_masks_stay_where_they_are_with_keep_names(tmp_path: Path) -> None:
    root = tmp_path / "export"
    for n, one in enumerate(patients(root)):
        mask = np.zeros(SHAPE[::-1], np.uint8)
        mask[2:4, 2 + n : 4 + n, 1:3] = 7
        (root / "labels").mkdir(exist_ok=True)
        nib.Nifti1Image(mask, one.affine).to_filename(root / f"labels/p{n}.nii.gz")
    labels, _ = build(root, "--keep-names")
    assert {Path(label.get_filename()).name for label in labels.values()} == {f"p{n}.nii.gz" for n in range(4)}
    assert all(case.startswith("sub-id") for case in labels)


def test_a_stopped_build_leaves_no_list_of_masks_that_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, datalist = tmp_path / "export", tmp_path / "prepared/datalist.json"
    written = labelled(root)
    build(root)
    for n, series in enumerate(written):
        write_segmentation(root / f"p{n}/seg.dcm", series, np.roll(blocks(), 1 + n % 2, axis=1), ("liver", "vessel"))

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(written_labels, "write_atomically", stop)
    assert datalist.exists()
    CliRunner().invoke(app, ["build", str(root), "--output", str(datalist.parent)])
    assert not datalist.exists()
    monkeypatch.undo()
    assert [entry["name"] for entry in build(root)[1]["labels"]] == ["background", "liver", "vessel"]


def test_spellings_of_one_name_are_one_label(tmp_path: Path) -> None:
    root = tmp_path / "export"
    for n, one in enumerate(patients(root)):
        names = ["liver", "Left Kidney"] if n % 2 else ["Liver", "left_kidney"]
        write_segmentation(root / f"{n}.dcm", one, np.roll(blocks(), n % 2, axis=2), names)
    labels, dataset = build(root)
    assert [entry["value"] for entry in dataset["labels"]] == [0, 1, 2]
    assert all(set(np.unique(np.asarray(label.dataobj))) == {0, 1, 2} for label in labels.values())


def test_names_of_segments_cannot_be_stated_anew(tmp_path: Path) -> None:
    root = tmp_path / "export"
    labelled(root)
    result = CliRunner().invoke(app, ["check", str(root), "--label-names", "1=tumour,2=liver"])
    assert result.exit_code == 2 and 'the segments of the DICOM files have names: "1=liver,2=tumour"' in result.stderr
    assert CliRunner().invoke(app, ["check", str(root), "--label-names", "1=liver,2=tumour"]).exit_code == 0


def test_contours_are_named_and_left_out(tmp_path: Path) -> None:
    root = tmp_path / "export"
    series = labelled(root)
    with_contours(series[0], root / "p0/contours.dcm")
    findings, _ = check(root)
    told = [finding for finding in findings if finding["code"] == "D537"]
    assert len(told) == 1 and "contours (RTSTRUCT)" in told[0]["message"] and codes_of(findings) == set()


def test_contours_alone_are_named_by_build(tmp_path: Path) -> None:
    root = tmp_path / "export"
    for number, one in enumerate(patients(root)):
        with_contours(one, root / f"contours{number}.dcm")
    result = CliRunner().invoke(app, ["build", str(root), "--output", str(tmp_path / "out")])
    assert result.exit_code == 3 and "no masks are made of contours; 3D Slicer exports them as DICOM-SEG" in result.stderr


def with_contours(series: Written, path: Path) -> None:
    """An RTSTRUCT file of a series."""
    contours = pydicom.dcmread(series.files[0])
    contours.SOPClassUID = contours.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    contours.SOPInstanceUID = contours.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    contours.Modality = "RTSTRUCT"
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(contours, keyword)
    contours.save_as(path)


def predicted(root: Path, which: list[int]) -> list[Written]:
    """Patients; those of these numbers have the DICOM-SEG that prediction would write."""
    from data_prep.dicom import find_series
    from data_prep.dicom.codes import segment_code
    from data_prep.dicom.seg_write import Algorithm, write_seg

    written = patients(root)
    found = {one.uid: one for one in find_series(root)}
    for n in which:
        mask = np.roll(blocks()[..., 0], n % 2, axis=2).transpose(2, 1, 0)
        algorithm = Algorithm("monai_hybrid", "1")
        path = root / f"p{n}/case_seg.dcm"
        write_seg(mask, found[written[n].series_uid], [("liver", segment_code("liver"))], algorithm, path)
    return written


def test_masks_that_prediction_wrote_are_no_labels_until_they_are_accepted(tmp_path: Path) -> None:
    root = tmp_path / "export"
    predicted(root, [0, 1, 2, 3])
    findings, _ = check(root)
    (told,) = [finding for finding in findings if finding["code"] == "D539"]
    assert told["level"] == "warning" and told["message"].startswith("4 predicted masks are left out, of sub-")
    assert told["message"].endswith(" and 1 more") and "--accept D539" in told["remedy"] and codes_of(findings) == set()
    result = CliRunner().invoke(app, ["build", str(root), "--out", str(tmp_path / "no")])
    assert result.exit_code == 3 and not (tmp_path / "no").exists()
    assert "4 DICOM series and no mask; 4 predicted masks are left out" in result.stderr
    assert "to take them as labels: --accept D539" in result.stderr
    labels, dataset = build(root, "--accept", "D539")
    assert len(labels) == 4 and dataset["labels"][1]["name"] == "liver" and "D539" in dataset["accepted"]


def test_labels_of_people_beside_masks_of_prediction_are_taken_alone(tmp_path: Path) -> None:
    root = tmp_path / "export"
    for n, one in enumerate(predicted(root, [0, 3])[:3]):
        write_segmentation(root / f"drawn{n}.dcm", one, np.roll(blocks(), n % 2, axis=2), ["liver", "tumour"])
    labels, _ = build(root, "--allow-unlabelled")
    assert len(labels) == 3 and all(set(np.unique(np.asarray(label.dataobj))) == {0, 1, 2} for label in labels.values())
    findings, _ = check(root, "--accept", "D539")
    assert codes_of(findings) == {"D536"}, "one of the two says liver twice"


def test_masks_of_people_alone_are_taken_without_a_word_about_prediction(tmp_path: Path) -> None:
    labelled(tmp_path / "export")
    assert not [finding for finding in check(tmp_path / "export")[0] if finding["code"] == "D539"]


def test_values_below_zero_are_no_shares(tmp_path: Path) -> None:
    root = tmp_path / "export"
    for n, one in enumerate(patients(root)):
        masks = np.roll(blocks(), n % 2, axis=2).astype(np.float32)
        change = None if n else lambda seg: setattr(seg, "PixelRepresentation", 1)
        write_segmentation(root / f"{n}.dcm", one, masks, ["liver", "tumour"], kind="FRACTIONAL", change=change)
    findings, _ = check(root, "--allow-unlabelled")
    assert [one["message"] for one in findings if one["code"] == "D004"] == ["its pixels are not whole numbers from 0 upwards"]


def test_a_segment_called_background_is_none(tmp_path: Path) -> None:
    root = tmp_path / "export"
    for n, one in enumerate(patients(root)):
        masks = np.roll(blocks(), n % 2, axis=2)
        write_segmentation(root / f"{n}.dcm", one, masks, ["Background", "tumour"])
    labels, dataset = build(root)
    assert [entry["name"] for entry in dataset["labels"]] == ["background", "tumour"]
    assert {(np.asarray(label.dataobj) == 1).sum() for label in labels.values()} == {blocks()[..., 1].sum()}


def test_files_without_a_preamble_are_known_by_their_own_kind(tmp_path: Path) -> None:
    root = tmp_path / "export"
    labelled(root)
    for file in [*root.glob("p*/seg.dcm")]:
        content = file.read_bytes()
        at = 144 + int.from_bytes(content[140:144], "little")
        file.write_bytes(content[at:])
    contours = pydicom.Dataset()
    contours.SOPClassUID, contours.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.3"
    contours.save_as(root / "contours.dcm", implicit_vr=True, little_endian=True)
    findings, _ = check(root)
    assert codes_of(findings) == set() and codes_of(findings, "warning") == {"D537"}
    assert len(build(root)[0]) == 4


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"], ids=["RLE", "JPEG-LS"])
def test_a_packed_segmentation_is_read_whole_or_not_at_all(syntax: str, tmp_path: Path) -> None:
    from pydicom.encaps import encapsulate, generate_frames

    root = tmp_path / "export"
    for n, one in enumerate(patients(root)):
        mask = np.roll(blocks(), n % 2, axis=2)
        packed = {"kind": "LABELMAP", "transfer_syntax_uid": syntax}
        write_segmentation(root / f"{n}.dcm", one, mask, ["liver", "tumour"], **packed)
    labels, _ = build(root)
    assert {int((np.asarray(label.dataobj) == 2).sum()) for label in labels.values()} == {int(blocks()[..., 1].sum())}
    seg = pydicom.dcmread(root / "0.dcm")
    frames = list(generate_frames(seg.PixelData, number_of_frames=int(seg.NumberOfFrames)))
    seg.PixelData = encapsulate([frame[: len(frame) * 2 // 3] for frame in frames])
    seg["PixelData"].is_undefined_length = True
    seg.save_as(root / "0.dcm")
    assert codes_of(check(root)[0]) >= {"D004"}
