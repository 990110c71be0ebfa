"""Segmentations of 3D Slicer: labels follow the names of segments, whatever values each file gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from prep_samples import save

from data_prep.build import build
from data_prep.check import check
from data_prep.errors import ConfigError
from data_prep.files import read_datalist, read_dataset
from data_prep.layouts import read_source
from data_prep.slicer_segments import segments_of

sitk = pytest.importorskip("SimpleITK")
SHAPE = (8, 9, 10)  # Z, Y, X
LIVER, TUMOUR = np.s_[1:4, 2:7, 3:8], np.s_[5:7, 2:7, 3:8]
PLACES = {"Liver": LIVER, "Tumour": TUMOUR}


def image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scan = sitk.GetImageFromArray(np.random.default_rng(seed).normal(100, 20, SHAPE).astype(np.float32))
    scan.SetSpacing((1.0, 1.0, 1.5))
    sitk.WriteImage(scan, str(path))


def segmentation(path: Path, values: Mapping[str, int], further: Mapping[str, str] | None = None) -> None:
    """One layer, as 3D Slicer saves segments that do not overlap."""
    label = np.zeros(SHAPE, np.uint8)
    for name, value in values.items():
        label[PLACES.get(name, np.s_[0, 0, 0])] = value
    _write(
        path, label, [{"Name": n, "LabelValue": str(v), "Layer": "0", "ID": f"Segment_{v}"} for n, v in values.items()], further
    )


def layers(path: Path, names: Sequence[str], stated: bool = True) -> None:
    """A layer for each segment; before 2020 neither value nor layer was stated."""
    array = np.zeros((*SHAPE, len(names)), np.uint8)
    for index, name in enumerate(names):
        array[(*PLACES[name], index)] = 1
    own = [{"Name": n, **({"LabelValue": "1", "Layer": str(i)} if stated else {})} for i, n in enumerate(names)]
    _write(path, array, own, None)


def _write(path: Path, array: np.ndarray, segments: Sequence[Mapping[str, str]], further: Mapping[str, str] | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
    made.SetSpacing((1.0, 1.0, 1.5))
    for index, own in enumerate(segments):
        for key, value in own.items():
            made.SetMetaData(f"Segment{index}_{key}", value)
    for key, value in (further or {}).items():
        made.SetMetaData(key, value)
    sitk.WriteImage(made, str(path), useCompression=True)


def cropped(
    path: Path, origin: tuple[float, float, float] | None = None, box: tuple[slice, ...] = np.s_[2:9, 1:8, 1:8]
) -> None:
    """A part of the grid that holds all segments, at its place or at another one."""
    whole = sitk.ReadImage(str(path))
    part = whole[box]  # X, Y, Z
    for key in whole.GetMetaDataKeys():
        part.SetMetaData(key, whole.GetMetaData(key))
    if origin is not None:
        part.SetOrigin(origin)
    sitk.WriteImage(part, str(path))


def patients(root: Path, *values: Mapping[str, int]) -> Path:
    for index, own in enumerate(values):
        image(root / f"p{index}.nrrd", index)
        segmentation(root / f"p{index}.seg.nrrd", own)
    return root


def built(root: Path, out: Path, **options: object) -> tuple[dict[int, str], dict[str, np.ndarray]]:
    """Names by value, and the labels (Z, Y, X) by case."""
    build(root, out, **options)
    labels = {}
    for case in read_datalist(out)["training"]:
        path = str(case["label"])
        labels[case["case_id"]] = (
            sitk.GetArrayFromImage(sitk.ReadImage(path)) if path.endswith("nrrd") else np.asarray(nib.load(path).dataobj).T
        )
    return {entry["value"]: entry["name"] for entry in read_dataset(out)["labels"]}, labels


def test_names_come_with_the_files(tmp_path: Path) -> None:
    names, _ = built(patients(tmp_path / "raw", *[{"Liver": 1, "Tumour": 2}] * 4), tmp_path / "out")
    assert names == {0: "background", 1: "Liver", 2: "Tumour"} and not (tmp_path / "out/labels").exists()
    assert check(tmp_path / "raw") == []


def test_values_that_differ_from_file_to_file_follow_the_names(tmp_path: Path) -> None:
    root = patients(
        tmp_path / "raw", {"Liver": 1, "Tumour": 2}, {"tumour": 1, "Liver": 2}, {"Liver": 3, "Tumour": 7}, {"Liver": 1}
    )
    segmentation(root / "p1.seg.nrrd", {"Tumour": 1, "Liver": 2})
    assert any("their values differ from file to file" in note for note in read_source(root).notes)
    names, labels = built(root, tmp_path / "out")
    assert names == {0: "background", 1: "Liver", 2: "Tumour"} and len(labels) == 4
    for case, label in labels.items():
        assert (label[LIVER] == 1).all() and (label[TUMOUR] == (0 if case == "p3" else 2)).all(), case
        assert set(np.unique(label)) <= {0, 1, 2}
    affine = nib.load(tmp_path / "out/labels/p1.nii.gz").affine
    np.testing.assert_allclose(np.abs(np.diag(affine)[:3]), [1, 1, 1.5])


@pytest.mark.parametrize("stated", [True, False])
def test_a_layer_for_each_segment(stated: bool, tmp_path: Path) -> None:
    for index in range(4):
        image(tmp_path / f"raw/images/p{index}.nrrd", index)
        layers(tmp_path / f"raw/labels/p{index}.seg.nrrd", ["Tumour", "Liver"] if index else ["Liver", "Tumour"], stated)
    assert "; segments lie in several layers, so labels are written anew" in " ".join(read_source(tmp_path / "raw").notes)
    names, labels = built(tmp_path / "raw", tmp_path / "out")
    assert names == {0: "background", 1: "Liver", 2: "Tumour"}
    assert all((label[LIVER] == 1).all() and (label[TUMOUR] == 2).all() for label in labels.values())


def test_segments_are_chosen_and_numbered_by_name(tmp_path: Path) -> None:
    root = patients(tmp_path / "raw", *[{"Liver": 1, "Tumour": 2}] * 4)
    names, labels = built(root, tmp_path / "out", label_names="5=Tumour")
    assert names == {0: "background", 5: "Tumour"} and all((label[TUMOUR] == 5).all() for label in labels.values())
    assert not any((label == 1).any() for label in labels.values())
    with pytest.raises(ConfigError, match="no segment is called 'spleen'; there are Liver, Tumour"):
        build(root, tmp_path / "second", label_names="1=liver,2=spleen")


def test_values_are_named_by_the_user_where_they_mean_the_same(tmp_path: Path) -> None:
    root = patients(tmp_path / "raw", *[{"Segment_1": 1, "Liver": 2}] * 4)
    for index in range(4):
        segmentation(root / f"p{index}.seg.nrrd", {"Liver": 1, "Tumour": 2})
    assert built(root, tmp_path / "out", label_names="1=organ,2=lesion")[0] == {0: "background", 1: "organ", 2: "lesion"}
    segmentation(root / "p2.seg.nrrd", {"Liver": 2, "Tumour": 1})
    with pytest.raises(ConfigError, match=r"no segment is called 'organ'.*Their values differ from file to file"):
        build(root, tmp_path / "second", label_names="1=organ,2=lesion")


def test_a_label_without_segments_among_files_that_differ_is_refused(tmp_path: Path) -> None:
    root = patients(tmp_path / "raw", {"Liver": 1, "Tumour": 2}, {"Tumour": 1, "Liver": 2}, {"Liver": 1, "Tumour": 2})
    image(root / "p9.nrrd", 9)
    save(root / "p9_seg.nii.gz", np.zeros(SHAPE[::-1], np.uint8))
    (found,) = check(root)
    assert found.code == "D550" and "p9_seg.nii.gz names none" in found.message


def test_segments_that_overlap_are_refused(tmp_path: Path) -> None:
    root = patients(tmp_path / "raw", *[{"Liver": 1, "Tumour": 2}] * 3)
    array = np.zeros((*SHAPE, 2), np.uint8)
    array[(*LIVER, 0)] = array[(*LIVER, 1)] = 1
    own = [{"Name": name, "LabelValue": "1", "Layer": str(layer)} for layer, name in enumerate(("Liver", "Tumour"))]
    _write(root / "p1.seg.nrrd", array, own, None)
    assert [(one.code, one.case) for one in check(root) if one.level == "error"] == [("D552", "p1")]


def test_a_value_of_no_segment_is_told_where_labels_are_written_anew(tmp_path: Path) -> None:
    root = patients(tmp_path / "raw", {"Liver": 1, "Tumour": 2}, {"Tumour": 1, "Liver": 2}, {"Liver": 1, "Tumour": 2})
    label = np.zeros(SHAPE, np.uint8)
    label[LIVER], label[TUMOUR] = 2, 9
    _write(root / "p1.seg.nrrd", label, [{"Name": "Liver", "LabelValue": "2", "Layer": "0"}], None)
    (found,) = [one for one in check(root) if one.level == "error"]
    assert found.case == "p1" and "holds the value 9, which is none of its segments" in found.message


@pytest.mark.parametrize("values", [(1, 2), (2, 1)], ids=["equal values", "other values"])
def test_a_segmentation_cropped_to_its_segments_is_written_on_the_grid_of_its_image(
    tmp_path: Path, values: tuple[int, int]
) -> None:
    root = patients(tmp_path / "raw", {"Liver": 1, "Tumour": 2}, dict(zip(("Liver", "Tumour"), values, strict=True)))
    cropped(root / "p1.seg.nrrd")
    names, labels = built(root, tmp_path / "out")
    assert names == {0: "background", 1: "Liver", 2: "Tumour"}
    for label in labels.values():
        assert label.shape == SHAPE and (label[LIVER] == 1).all() and (label[TUMOUR] == 2).all()
        assert np.count_nonzero(label) == 75 + 50
    assert any("1 hold a part of their image's grid" in note for note in read_source(root).notes)


def test_layers_cropped_to_their_segments(tmp_path: Path) -> None:
    for index in range(2):
        image(tmp_path / f"raw/p{index}.nrrd", index)
        layers(tmp_path / f"raw/p{index}.seg.nrrd", ["Liver", "Tumour"])
    cropped(tmp_path / "raw/p0.seg.nrrd")
    _, labels = built(tmp_path / "raw", tmp_path / "out")
    assert all(label.shape == SHAPE and (label[LIVER] == 1).all() and (label[TUMOUR] == 2).all() for label in labels.values())


def test_a_cropped_segmentation_between_the_voxels_is_refused(tmp_path: Path) -> None:
    root = patients(tmp_path / "raw", {"Liver": 1}, {"Liver": 1})
    cropped(root / "p1.seg.nrrd", origin=(2.4, 1.0, 1.5))
    assert "D401" in {finding.code for finding in check(root)}


def test_series_of_dicom_with_masks_of_3d_slicer(tmp_path: Path) -> None:
    """A series is loaded into 3D Slicer and segmented there; the second patient's segments were drawn in another order."""
    from dicom_files import AXIAL, CORONAL, write_series

    for index, order in enumerate(((1, 2), (2, 1), (1, 2))):
        pixels = np.random.default_rng(index).integers(0, 300, (12, 24, 20)).astype(np.int16)
        pixels[3:9, 6:16, 8:18] += 900
        folder = tmp_path / f"raw/{index}/study"
        written = write_series(folder, pixels, directions=CORONAL if index == 2 else AXIAL, PatientID=f"planted{index}")
        scan = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
        stored = sitk.GetArrayFromImage(scan)
        bright = stored > (stored.min() + stored.max()) / 2
        label = np.where(bright, order[0], 0).astype(np.uint8)
        label[0, 0, 0] = order[1]
        made = sitk.GetImageFromArray(label)
        made.CopyInformation(scan)
        for number, (name, value) in enumerate(zip(("Liver", "Tumour"), order, strict=True)):
            for key, text in (("Name", name), ("LabelValue", str(value)), ("Layer", "0")):
                made.SetMetaData(f"Segment{number}_{key}", text)
        (tmp_path / "raw/labels").mkdir(exist_ok=True)
        file = tmp_path / f"raw/labels/{written.series_uid}.seg.nrrd"
        sitk.WriteImage(made, str(file))
        if index == 0:
            cropped(file, box=np.s_[0:19, 0:18, 0:10])
    report = build(tmp_path / "raw", tmp_path / "out")
    assert any("their values differ from file to file" in note for note in report.notes)
    assert [label["name"] for label in read_dataset(tmp_path / "out")["labels"]] == ["background", "Liver", "Tumour"]
    for case in read_datalist(tmp_path / "out")["training"]:
        image, label = sitk.ReadImage(str(case["image"])), sitk.ReadImage(str(case["label"]))
        on_grid = sitk.GetArrayFromImage(sitk.Resample(label, image, sitk.Transform(), sitk.sitkNearestNeighbor))
        values = sitk.GetArrayFromImage(image)
        inside = values > (values.min() + values.max()) / 2
        assert (on_grid[inside] == 1).all() and (on_grid == 1).sum() == inside.sum() > 100 and (on_grid == 2).sum() == 1


@pytest.mark.parametrize("names", [("Liver", "liver"), ("Liver", "x" * 300)])
def test_names_that_cannot_be_told_apart_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    root = patients(tmp_path / "raw", *[{"Liver": 1, "Tumour": 2}] * 3)
    segmentation(root / "p1.seg.nrrd", dict(zip(names, (1, 2), strict=True)))
    assert [one.code for one in check(root)] == ["D550"]


@pytest.mark.parametrize("content", [b"", b"NRRD0004\n", b"NRRD0004\nSegment0_Name:=\n\n", b"no nrrd\nSegment0_Name:=a\n\n"])
def test_a_header_without_segments_names_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(content)
    assert segments_of(tmp_path / "a.nrrd") == () and segments_of(tmp_path / "none.nrrd") == ()


def test_plain_nrrd_labels_stay_as_they_were(tmp_path: Path) -> None:
    root = patients(tmp_path / "raw", *[{}] * 3)
    for index in range(3):
        label = np.zeros(SHAPE, np.uint8)
        label[LIVER] = 1
        _write(root / f"p{index}.seg.nrrd", label, [], {"Remark": "Segment0_Name:=a"})
    assert built(root, tmp_path / "out", label_names="1=liver")[0] == {0: "background", 1: "liver"}
