"""Masks that lie in files: whose each is, what its values mean, and on which grid it has to lie."""

from __future__ import annotations

import gzip
import json
import logging
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from data_prep.known_files import file_digest
from data_prep.label_file import write_label_file
from data_prep.layouts import read_source
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.evaluation.mask_files import LoadMasksd, MaskValues, mask_values
from monai_hybrid.evaluation.mask_owners import cases_with_masks
from monai_hybrid.transforms import CaseReader, LoadClassesd

LABELS = [{"index": 0, "value": 0, "name": "background"}, {"index": 1, "value": 5, "name": "LV"},
          {"index": 2, "value": 9, "name": "RV cavity"}]  # fmt: skip
ONE = [LABELS[0], LABELS[1]]


def case(name: str, **more: Any) -> dict[str, Any]:
    return {"case_id": name, "image": [f"images/{name}_0000.nii.gz"], "label": f"labels/{name}.nii.gz", **more}


def touched(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    "name",
    ["a.nii.gz", "a_seg.nii.gz", "a_mask.png", "a_SEG.PNG", "a_pred.nrrd", "mask_a.nii", "a-segmentation.png", "scan_of_a.nii",
     "truth_a.png"],
)  # fmt: skip
def test_a_mask_is_called_like_its_case_its_image_or_its_label(name: str, tmp_path: Path) -> None:
    own = case("a", image=["images/scan_of_a_0000.nii.gz"], label="labels/truth_a.nii.gz")
    folder = touched(tmp_path, name, "b.nii.gz", "notes.txt", ".a.nii.gz")
    assert cases_with_masks([own], str(folder)) == [{**own, "mask": str(folder / name)}]


def test_an_image_of_the_data_set_is_no_mask_of_it(tmp_path: Path) -> None:
    folder = touched(tmp_path / "raw", "a.nii.gz", "a_reader2.nii.gz", "b.nii.gz", "b_seg.nii.gz")
    cases = [case(name, image=[str(folder / f"{name}.nii.gz")], label=f"other/{name}_reader2.nii.gz") for name in "ab"]
    assert [Path(one["mask"]).name for one in cases_with_masks(cases, str(folder))] == ["a_reader2.nii.gz", "b_seg.nii.gz"]
    for mask in (*folder.glob("*_reader2*"), *folder.glob("*_seg*")):
        mask.unlink()
    with pytest.raises(DataError, match="holds the images of the data set; expected masks"):
        cases_with_masks(cases, str(folder))


def test_a_mask_of_an_image_that_is_called_alike_in_each_folder_is_known_by_the_folder(tmp_path: Path) -> None:
    """As `predict` calls it."""
    cases = [case(name, image=[f"/data/ts/{name}/ct.nii.gz"]) for name in ("s1", "s2")]
    folder = touched(tmp_path, "s1__ct_seg.nii.gz", "ts__s2__ct_seg.nii.gz", "s3__ct_seg.nii.gz")
    found = cases_with_masks(cases, str(folder))
    assert [Path(one["mask"]).name for one in found] == ["s1__ct_seg.nii.gz", "ts__s2__ct_seg.nii.gz"]


def test_a_number_behind_a_name_makes_another_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no mask of 1 of 1 case: a; saw masks of a_0002"):
        cases_with_masks([case("a")], str(touched(tmp_path, "a_0002.nii.gz")))


def test_the_table_of_a_prediction_says_whose_a_mask_is(tmp_path: Path) -> None:
    touched(tmp_path / "masks", "x1_out.nii.gz", "b_seg.nii.gz")
    rows = "case_id,status,mask\na,done,x1_out.nii.gz\nb,done,../other.nii.gz\n"  # the second is no file of this folder
    (tmp_path / "masks/quality.csv").write_text(rows)
    (tmp_path / "other.nii.gz").touch()
    found = cases_with_masks([case("a"), case("b")], str(tmp_path / "masks"))
    assert [Path(one["mask"]).name for one in found] == ["x1_out.nii.gz", "b_seg.nii.gz"]


def test_masks_of_other_images_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, images = touched(tmp_path / "m", "a.nii.gz", "b.nii.gz"), [tmp_path / f"{name}.nii.gz" for name in "ab"]
    for image in images:
        image.write_bytes(image.name.encode())
    cases = [case(name, image=[str(image)]) for name, image in zip("ab", images, strict=True)]
    row = f"case_id,mask,image_digest\na,a.nii.gz,{file_digest(images[0])}\nb,b.nii.gz,"
    (folder / "quality.csv").write_text(f"{row}{file_digest(images[1])}\n")
    with caplog.at_level(logging.WARNING):
        assert len(cases_with_masks(cases, str(folder))) == 2 and caplog.text == ""
        (folder / "quality.csv").write_text(f"{row}{'0' * 32}\n")
        assert len(cases_with_masks(cases, str(folder))) == 2
    assert "m: the masks of b were made of other image files than those of the data set" in caplog.text


def test_cases_without_a_mask_are_refused_or_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, cases = touched(tmp_path / "m", "a.nii.gz"), [case("a"), case("b"), case("c")]
    with pytest.raises(DataError, match=r"m: no mask of 2 of 3 cases: b, c\. To score the others.*--without-mask leave_out"):
        cases_with_masks(cases, str(folder))
    with caplog.at_level(logging.WARNING):
        assert [one["case_id"] for one in cases_with_masks(cases, str(folder), "leave_out")] == ["a"]
    assert "no mask of 2 of 3 cases: b, c; left out" in caplog.text
    with pytest.raises(
        DataError, match=r"no mask of 2 of 2 cases: b, c; saw masks of a; expected a file called b\.nii\.gz or b_seg\.png"
    ):
        cases_with_masks(cases[1:], str(folder), "leave_out")
    touched(tmp_path / "deep/x", "a.txt")
    with pytest.raises(DataError, match=r"of 1 case: a; saw no image file, but folders: x; expected a file called a\.nii\.gz"):
        cases_with_masks(cases[:1], str(tmp_path / "deep"))
    with pytest.raises(DataError, match=r"nowhere: no such folder; expected masks, a file a case"):
        cases_with_masks(cases, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="--masks FOLDER"):
        cases_with_masks(cases, None)


def test_two_files_for_one_case_are_refused(tmp_path: Path) -> None:
    folder = touched(tmp_path, "a.nii.gz", "a_seg.nii.gz")
    with pytest.raises(DataError, match=r"a\.nii\.gz and a_seg\.nii\.gz could both be the mask of a; keep one: mv .*a_seg"):
        cases_with_masks([case("a")], str(folder))


def test_corrected_labels_lie_beside_their_names(tmp_path: Path) -> None:
    touched(tmp_path / "labels", "a.nii.gz", "a.json")
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "LV": 2, "RV cavity": 1}, "dataset": {}}))
    for folder in (tmp_path, tmp_path / "labels"):
        assert cases_with_masks([case("a")], str(folder))[0]["mask"] == str(tmp_path / "labels/a.nii.gz")
        assert mask_values(str(folder), None, LABELS) == MaskValues((0, 2, 1), (0, 1, 2))


def test_a_mask_belongs_to_one_case(tmp_path: Path) -> None:
    folder, names = touched(tmp_path / "m", "a.nii.gz", "a_seg.nii.gz", "b_pred.nii.gz"), ["a", "a_seg", "b"]
    found = cases_with_masks([case(name) for name in names], str(folder))
    assert [Path(one["mask"]).name for one in found] == ["a.nii.gz", "a_seg.nii.gz", "b_pred.nii.gz"]
    (folder / "a.nii.gz").unlink()
    with pytest.raises(DataError, match="no mask of 1 of 1 case: a; saw masks of a_seg, b_pred"):
        cases_with_masks([case("a")], str(folder), "leave_out", [case("a_seg")])
    shared = [case(name, image=[f"{name}/scan.nii.gz"], label=f"{name}/truth.nii.gz") for name in "ab"]
    with pytest.raises(DataError, match="no mask of 2 of 2 cases: a, b; saw masks of scan, truth_seg"):
        cases_with_masks(shared, str(touched(tmp_path / "shared", "scan.nii.gz", "truth_seg.nii.gz")))
    (folder / "quality.csv").write_text("case_id,mask\na,a_seg.nii.gz\nb,a_seg.nii.gz\n")
    with pytest.raises(DataError, match=r"quality\.csv: names .*m/a_seg\.nii\.gz more than once; expected a case a mask"):
        cases_with_masks([case("a")], str(folder))


def test_an_umlaut_in_two_signs_is_the_same_name(tmp_path: Path) -> None:
    folder = touched(tmp_path, "u\u0308.1.NII.GZ")
    assert Path(cases_with_masks([case("\u00fc.1")], str(folder))[0]["mask"]).name == "u\u0308.1.NII.GZ"


def test_labels_are_not_scored_against_themselves(tmp_path: Path) -> None:
    folder = touched(tmp_path, "a.nii.gz", "b.nii.gz")
    own = case("a", label=str(folder / "a.nii.gz"))
    with pytest.raises(
        DataError, match=r"a\.nii\.gz: is the label that the masks are held against; expected a folder with masks"
    ):
        cases_with_masks([own], str(folder))
    assert len(cases_with_masks([case("b", label=str(touched(tmp_path / "l", "b.nii.gz") / "b.nii.gz"))], str(folder))) == 1


def test_without_names_the_values_are_the_data_sets_own(tmp_path: Path) -> None:
    assert mask_values(str(tmp_path), None, LABELS) == MaskValues((0, 5, 9), (0, 1, 2))


def test_names_say_what_values_mean(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert mask_values(str(tmp_path), "2=lv, 1=RV-Cavity", LABELS) == MaskValues((0, 2, 1), (0, 1, 2))
    write_label_file(tmp_path, [(0, "background", "#000000"), (7, "RV cavity", "#00ff00"), (8, "LV", "#ff0000")])
    assert mask_values(str(tmp_path), None, LABELS) == MaskValues((0, 7, 8), (0, 2, 1))
    (tmp_path / "labels.txt").unlink()
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "LV": 1, "Myo": 2, "ignore": 3}}))
    with caplog.at_level(logging.WARNING):
        assert mask_values(str(tmp_path), None, LABELS) == MaskValues((0, 1, 2), (0, 1, 0))
    assert "Myo: not in the data set; counted as background" in caplog.text
    assert "no value for RV cavity: counted as missed" in caplog.text


def test_one_structure_on_both_sides_needs_no_name(tmp_path: Path) -> None:
    assert mask_values(str(tmp_path), "255=label_255", ONE) == MaskValues((0, 255), (0, 1))
    assert mask_values(str(tmp_path), "1=lv", [ONE[0], {"index": 1, "value": 255, "name": "label_255"}]) == MaskValues(
        (0, 1), (0, 1)
    )


def test_made_up_names_are_heard_where_they_are_stated(tmp_path: Path) -> None:
    made_up = [LABELS[0], {"index": 1, "value": 5, "name": "label_5"}, {"index": 2, "value": 9, "name": "label_9"}]
    write_label_file(tmp_path, [(1, "label_5", "#000000"), (2, "label_9", "#00ff00")])
    assert mask_values(str(tmp_path), None, made_up) == MaskValues((0, 5, 9), (0, 1, 2)), "in a file they say nothing"
    assert mask_values(str(tmp_path), "1=label_9,2=label_5", made_up) == MaskValues((0, 1, 2), (0, 2, 1))


def test_what_nnunet_leaves_is_named_where_it_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "LV": [1, 2], "RV cavity": 2}}))
    with caplog.at_level(logging.WARNING):
        assert mask_values(str(tmp_path), None, LABELS) == MaskValues((0, 5, 9), (0, 1, 2))
    assert "dataset.json: its structures are regions; the values are taken for the data set's own" in caplog.text
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"LV": 1.0}}))
    with pytest.raises(DataError, match=r"saw 'LV': 1\.0\. Or say what the values mean: --mask-labels"):
        mask_values(str(tmp_path), None, LABELS)
    assert mask_values(str(tmp_path), "1=LV", LABELS).values == (0, 1), "what is stated comes first"


def test_names_of_files_from_others_do_no_harm(tmp_path: Path) -> None:
    folder = touched(tmp_path, "a.nii.gz", "x\x1b[31m\ny.nii.gz")
    (folder / "quality.csv").write_text("case_id,mask\na," + "x" * 5000 + "\n")
    assert cases_with_masks([case("a")], str(folder))[0]["mask"] == str(folder / "a.nii.gz")
    (folder / "quality.csv").write_text('case_id,mask\na,"x\x1b[31m\ny.nii.gz"\n')
    with pytest.raises(DataError, match=r"x\\x1b\[31m\\ny\.nii\.gz: its name holds control .*; rename it: mv \"\$\(printf '"):
        cases_with_masks([case("a")], str(folder))


def test_names_of_other_structures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--mask-labels: names liver, spleen; the data set has LV, RV cavity\. Type: .*1=LV,2=RV cavity"
    ):
        mask_values(str(tmp_path), "1=liver,2=spleen", LABELS)
    with pytest.raises(ConfigError, match=r"--mask-labels: .*Type: --mask-labels"):
        mask_values(str(tmp_path), "LV", LABELS)


def test_other_values_may_be_background(loaded: dict[str, Any], tmp_path: Path) -> None:
    values = mask_values(str(tmp_path), "5=lv, Others = background", LABELS)
    assert values == MaskValues((0, 5), (0, 1), others_too=True)
    assert mask_values(str(tmp_path), "5=label_5,others=background", ONE).others_too
    mask = np.asanyarray(nib.load(loaded["mask"]).dataobj).copy()
    mask[0] = 117
    many = {**loaded, "mask": written(tmp_path / "many.nii.gz", mask, np.diag([1.0, 1.5, 2.0, 1.0]))}
    assert float(LoadMasksd("mask", values)(many)["mask"].sum()) == 12
    with pytest.raises(Exception, match=r'hold values that are not classes, the first is 117; .*"1=NAME,others=background"'):
        LoadMasksd("mask", MaskValues((0, 5), (0, 1)))(many)
    half = written(tmp_path / "half.nii.gz", mask.astype(np.float32) / 2, np.diag([1.0, 1.5, 2.0, 1.0]))
    with pytest.raises(Exception, match=r"hold values that are not classes, the first is 58\.5"):
        LoadMasksd("mask", values)({**loaded, "mask": half})
    with pytest.raises(ConfigError, match=r'names no structure. Type: --mask-labels "1=LV,others=background"'):
        mask_values(str(tmp_path), "others=background", ONE)


def written(path: Path, array: np.ndarray, affine: np.ndarray) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
    return str(path)


@pytest.fixture
def loaded(tmp_path: Path) -> dict[str, Any]:
    """A volume and its label, with voxels of value 255 that nobody annotated; a mask of the same grid."""
    affine, values = np.diag([1.0, 1.5, 2.0, 1.0]), np.zeros((6, 5, 4), np.uint8)
    values[1:4, 1:3, 1:3] = 5
    label = values.copy()
    label[0] = 255
    noise = np.random.default_rng(0).normal(size=values.shape).astype(np.float32)
    data = {"image": written(tmp_path / "i.nii.gz", noise, affine),
            "label": written(tmp_path / "l.nii.gz", label, affine), "ignore_value": 255,
            "mask": written(tmp_path / "m.nii.gz", values, affine)}  # fmt: skip
    from monai.transforms import LoadImaged

    data = LoadImaged("image", reader=CaseReader(), ensure_channel_first=True, image_only=True)(data)
    return dict(LoadClassesd("label", [0, 5, 9])(data))


def test_a_mask_of_another_voxel_order_is_turned(loaded: dict[str, Any], tmp_path: Path) -> None:
    load = LoadMasksd("mask", MaskValues((0, 5, 9), (0, 1, 2)))
    plain = load(loaded)["mask"]
    assert plain.shape == (1, 6, 5, 4) and float(plain.sum()) == 12 and float(loaded["label"].min()) == -1
    values = np.asanyarray(nib.load(tmp_path / "m.nii.gz").dataobj)
    turned = np.array([[-1.0, 0, 0, 5.0], [0, 1.5, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])
    other = {**loaded, "mask": written(tmp_path / "t/m.nii.gz", np.ascontiguousarray(values[::-1]), turned)}
    assert bool((load(other)["mask"] == plain).all())


@pytest.mark.parametrize("cropped", [False, True], ids=["whole", "cropped"])
@pytest.mark.parametrize("numbers", [(1, 2), (2, 1), (9, 5)])
def test_a_segmentation_of_3d_slicer_is_read_by_the_names_of_its_segments(
    cropped: bool, numbers: tuple[int, int], loaded: dict[str, Any], tmp_path: Path
) -> None:
    """A second reader drew the structures in another order, so that the values are other ones."""
    sitk = pytest.importorskip("SimpleITK")
    mask = np.asanyarray(nib.load(loaded["mask"]).dataobj).copy()
    drawn = np.where(mask == 5, numbers[0], 0).astype(np.uint8)
    drawn[0, 0, 0], drawn[0, 0, 1] = numbers[1], 77
    image = sitk.GetImageFromArray(np.ascontiguousarray(drawn[::-1, ::-1].T))
    image.SetSpacing((1.0, 1.5, 2.0))
    image.SetOrigin((-5.0, -6.0, 0.0))  # LPS: the first two axes of the label are turned
    if cropped:  # to its segments, as 3D Slicer can save it; voxel (0, 0) is at the far end of the first two axes
        inside = np.argwhere(np.asarray(sitk.GetArrayFromImage(image)))
        (z0, y0, x0), (z1, y1, x1) = inside.min(axis=0).tolist(), (inside.max(axis=0) + 1).tolist()
        assert (z1 - z0, y1 - y0, x1 - x0) != drawn.T.shape
        image = image[x0:x1, y0:y1, z0:z1]
    for index, (name, value) in enumerate(zip(("lv", "RV cavity", "liver"), (*numbers, 77), strict=True)):
        image.SetMetaData(f"Segment{index}_Name", name)
        image.SetMetaData(f"Segment{index}_LabelValue", str(value))
        image.SetMetaData(f"Segment{index}_Layer", "0")
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    read = LoadMasksd("mask", mask_values(str(tmp_path), None, LABELS))({**loaded, "mask": str(tmp_path / "a.seg.nrrd")})[
        "mask"
    ]
    expected = np.where(mask == 5, 1, 0)
    expected[0, 0, 0] = 2
    np.testing.assert_array_equal(np.asarray(read)[0], expected)


def test_a_segmentation_of_3d_slicer_lies_in_the_folder_of_its_case(tmp_path: Path) -> None:
    """As the data set itself has it: Patient 1/T1.nrrd and Patient 1/Segmentation.seg.nrrd."""
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(np.ones((2, 3, 4), np.uint8))
    for key, value in {"Name": "LV", "LabelValue": "1", "Layer": "0"}.items():
        image.SetMetaData(f"Segment0_{key}", value)
    own = case("Patient 1", image=["raw/Patient 1/T1.nrrd"], label=str(tmp_path / "raw/Patient 1/Segmentation.seg.nrrd"))
    for root in ("raw", "reader"):
        file = touched(tmp_path / root / "Patient 1", "T1.nrrd") / "Segmentation.seg.nrrd"
        sitk.WriteImage(image, str(file))
    assert cases_with_masks([own], str(tmp_path / "reader"))[0]["mask"] == str(file)
    with pytest.raises(DataError, match="is the label that the masks are held against"):
        cases_with_masks([own], str(tmp_path / "raw"))
    touched(file.parent, "lv.nii.gz")  # masks of one structure each
    assert cases_with_masks([own], str(tmp_path / "reader"))[0]["mask"] == str(file.parent)


def test_masks_of_one_structure_each_are_one_label(loaded: dict[str, Any], tmp_path: Path) -> None:
    """As TotalSegmentator writes them: a folder a case, in it a file a structure, also such as the data set does not have."""
    affine, mask = np.diag([1.0, 1.5, 2.0, 1.0]), np.asanyarray(nib.load(loaded["mask"]).dataobj)
    for name, where in {"RV_cavity": mask == 9, "LV": mask == 5, "liver": mask >= 0}.items():
        written(tmp_path / f"masks/a/{name}.nii.gz", where.astype(np.uint8), affine)
    (one,) = cases_with_masks([case("a")], str(tmp_path / "masks"))
    assert one["mask"] == str(tmp_path / "masks/a")
    values = mask_values(str(tmp_path / "masks"), None, LABELS)
    load = LoadMasksd("mask", values)
    whole = LoadMasksd("mask", values)(loaded)["mask"]
    assert bool((load({**loaded, "mask": one["mask"]})["mask"] == whole).all()) and float(whole.sum()) == 12
    (tmp_path / "masks/a/RV_cavity.nii.gz").unlink()  # not found by the program
    assert set(load({**loaded, "mask": one["mask"]})["mask"].unique().tolist()) == {0.0, 1.0}
    written(tmp_path / "masks/a/lv.nii.gz", (mask == 5).astype(np.uint8), affine)
    with pytest.raises(Exception, match=r"LV\.nii\.gz and lv\.nii\.gz are both masks of 'lv'; expected one"):
        load({**loaded, "mask": one["mask"]})
    for name in ("LV", "lv"):
        (tmp_path / f"masks/a/{name}.nii.gz").unlink()
    with pytest.raises(
        Exception, match="no mask of lv, rv_cavity; saw liver; expected files that are called like the structures"
    ):
        load({**loaded, "mask": one["mask"]})
    written(tmp_path / "masks/a/LV.nii.gz", np.ones((2, 2, 2), np.uint8), affine)
    with pytest.raises(Exception, match=r"LV\.nii\.gz: 2 x 2 x 2 voxels, the label has 6 x 5 x 4"):
        load({**loaded, "mask": one["mask"]})


def test_masks_may_lie_in_a_folder_for_each_structure(loaded: dict[str, Any], tmp_path: Path) -> None:
    """As `build` reads labels: liver/a.nii.gz beside spleen/a.nii.gz; folders of no structure of the data set are not read."""
    affine, mask = np.diag([1.0, 1.5, 2.0, 1.0]), np.asanyarray(nib.load(loaded["mask"]).dataobj)
    for name, where in {
        "RV_cavity/a_seg": mask == 9,
        "LV masks/a": mask == 5,
        "liver/a": mask >= 0,
        "LV masks/b": mask < 0,
    }.items():
        written(tmp_path / f"masks/{name}.nii.gz", where.astype(np.uint8), affine)
    touched(tmp_path / "masks/notes", "c.nii.gz")
    cases = cases_with_masks([case("a"), case("b")], str(tmp_path / "masks"), others=[case("c")])
    assert [sorted(one["mask"]) for one in cases] == [["LV", "RV_cavity", "liver"], ["LV"]]
    values = mask_values(str(tmp_path / "masks"), None, LABELS)
    load, whole = LoadMasksd("mask", values), LoadMasksd("mask", values)(loaded)["mask"]
    assert bool((load({**loaded, "mask": cases[0]["mask"]})["mask"] == whole).all()) and float(whole.sum()) == 12
    assert float(load({**loaded, "mask": cases[1]["mask"]})["mask"].sum()) == 0
    with pytest.raises(DataError, match=r"no mask of 1 of 2 cases: d\. To score the others"):
        cases_with_masks([case("a"), case("d")], str(tmp_path / "masks"))
    with pytest.raises(Exception, match="no mask of lv, rv_cavity; saw liver; expected folders that are called like"):
        load({**loaded, "mask": {"liver": cases[0]["mask"]["liver"]}})
    with pytest.raises(DataError, match="is the label that the masks are held against"):
        cases_with_masks([case("a", label=cases[0]["mask"]["LV"])], str(tmp_path / "masks"))
    touched(tmp_path / "masks/lv", "a.nii.gz")
    expected = "LV masks/ and lv/ are both masks of 'lv'; expected one for each structure. Keep one: mv "
    with pytest.raises(DataError, match=re.escape(expected)):
        cases_with_masks([case("a")], str(tmp_path / "masks"))
    for name in "abcd":  # `build` says it in the same words
        touched(tmp_path / "raw/images", f"{name}.nii.gz")
        touched(tmp_path / "raw/labels/LV masks", f"{name}.nii.gz")
    touched(tmp_path / "raw/labels/lv", "a.nii.gz")
    with pytest.raises(DataError, match=re.escape(expected)):
        read_source(tmp_path / "raw")


def test_a_mask_that_does_not_fit_is_refused_by_name(loaded: dict[str, Any], tmp_path: Path) -> None:
    load, affine = LoadMasksd("mask", MaskValues((0, 5), (0, 1))), np.diag([1.0, 1.5, 2.0, 1.0])
    small = written(tmp_path / "small.nii.gz", np.zeros((6, 5, 3), np.uint8), affine)
    with pytest.raises(
        Exception, match=r"small\.nii\.gz: 6 x 5 x 3 voxels, the label has 6 x 5 x 4; expected a mask on the grid"
    ):
        load({**loaded, "mask": small})
    moved = affine.copy()
    moved[0, 3] = 3.0
    away = written(tmp_path / "away.nii.gz", np.zeros((6, 5, 4), np.uint8), moved)
    with pytest.raises(Exception, match=r"away\.nii\.gz: lies 3 mm away from its label; tolerance 0\.1 mm"):
        load({**loaded, "mask": away})
    with pytest.raises(Exception, match=r"two\.nii\.gz: 2 channels or volumes; expected a single one, with a value for each"):
        load({**loaded, "mask": written(tmp_path / "two.nii.gz", np.zeros((6, 5, 4, 2), np.uint8), affine)})
    with gzip.open(tmp_path / "large.nii.gz", "wb") as file:  # a header, and no voxels: they are not read
        header = nib.Nifti1Image(np.zeros((1, 1, 1), np.uint8), affine).header
        header.set_data_shape((9999, 9999, 9999))
        file.write(header.binaryblock + bytes(4))
    with pytest.raises(Exception, match=r"large\.nii\.gz: 9999 x 9999 x 9999 voxels, the label has 6 x 5 x 4"):
        load({**loaded, "mask": str(tmp_path / "large.nii.gz")})
    odd = written(tmp_path / "odd.nii.gz", np.full((6, 5, 4), 255, np.uint8), affine)
    with pytest.raises(
        Exception, match=r'odd\.nii\.gz: 120 voxels hold values that are not classes, the first is 255.*--mask-labels "1=NAME'
    ):
        load({**loaded, "mask": odd})
