"""A folder a case, and a mask a structure: the layouts of BraTS, KiTS, ACDC and TotalSegmentator."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from prep_samples import RAS, noise, save

from data_prep.build import build
from data_prep.check import check
from data_prep.errors import ConfigError, DataError
from data_prep.files import read_datalist, read_dataset
from data_prep.layouts import detect, read_source
from data_prep.repair import repair
from data_prep.scans import scan_of_file, sort_files

SHAPE = (10, 9, 8)
ORGANS = {"kidney_left": slice(0, 3), "liver": slice(3, 6), "spleen": slice(6, 9)}


def box(where: slice, value: int = 1) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[where, 2:7, 2:6] = value
    return mask


def organs(root: Path, cases: int = 3, within: str = "segmentations") -> Path:
    """TotalSegmentator's layout: s0000/ct.nii.gz and a mask for each organ."""
    for index in range(cases):
        save(root / f"s{index:04d}/ct.nii.gz", noise(SHAPE, index))
        for name, where in ORGANS.items():
            save(root / f"s{index:04d}" / within / f"{name}.nii.gz", box(where))
    return root


def tumours(root: Path, cases: int = 3) -> Path:
    """The layout of BraTS: four contrasts and a mask with the values 1 and 4 in each folder."""
    for index in range(cases):
        name = f"BraTS-GLI-{index:05d}-000"
        for channel, contrast in enumerate(("t2w", "t1c", "t1n", "t2f")):
            save(root / name / f"{name}-{contrast}.nii.gz", noise(SHAPE, 10 * index + channel))
        save(root / name / f"{name}-seg.nii.gz", box(slice(0, 3)) + box(slice(4, 6), 4))
    return root


def codes(findings: Any) -> set[str]:
    return {finding.code for finding in findings if finding.level != "note"}


def test_an_image_and_a_mask_in_each_folder(tmp_path: Path) -> None:
    for index in range(3):
        save(tmp_path / f"kits/case_{index:05d}/imaging.nii.gz", noise(SHAPE, index))
        save(tmp_path / f"kits/case_{index:05d}/segmentation.nii.gz", box(slice(2, 5)))
    assert detect(tmp_path / "kits") == "cases"
    source = read_source(tmp_path / "kits")
    assert [case.case_id for case in source.cases] == ["case_00000", "case_00001", "case_00002"]
    assert source.cases[0].images[0].name == "imaging.nii.gz"
    assert source.cases[0].label is not None and source.cases[0].label.name == "segmentation.nii.gz"
    assert check(tmp_path / "kits") == []


def test_contrasts_are_channels_by_their_names(tmp_path: Path) -> None:
    build(tumours(tmp_path / "brats"), tmp_path / "out")
    dataset, datalist = read_dataset(tmp_path / "out"), read_datalist(tmp_path / "out")
    assert dataset["channels"] == ["t1c", "t1n", "t2f", "t2w"] and dataset["modality"] == "MRI"
    assert [label["value"] for label in dataset["labels"]] == [0, 1, 4]
    case = datalist["training"][0]
    assert [Path(name).name for name in case["image"]] == [f"BraTS-GLI-00000-000-{c}.nii.gz" for c in dataset["channels"]]
    assert Path(case["label"]).name == "BraTS-GLI-00000-000-seg.nii.gz"


def test_a_folder_without_one_of_the_contrasts_is_told_and_may_be_left_out(tmp_path: Path) -> None:
    root = tumours(tmp_path / "brats")
    (root / "BraTS-GLI-00001-000/BraTS-GLI-00001-000-t2f.nii.gz").unlink()
    (found,) = [finding for finding in check(root) if finding.level != "note"]
    assert found.code == "D551" and found.message.startswith("no t2f; it holds BraTS-GLI-00001-000-t1c.nii.gz")
    assert f"take this away: mv -n {root}/" in found.remedy and " ..; or, if it is meant so" in found.remedy
    build(root, tmp_path / "out", accept="D551")
    assert len(read_datalist(tmp_path / "out")["training"]) == 2
    for contrast in ("t1n", "t2w"):
        (root / f"BraTS-GLI-00001-000/BraTS-GLI-00001-000-{contrast}.nii.gz").unlink()
    assert next(f for f in check(root) if f.code == "D551").message.startswith(
        "no t1n, no t2f, no t2w; it holds BraTS-GLI-00001"
    )


def test_frames_with_a_mask_each_are_cases_of_one_patient(tmp_path: Path) -> None:
    for index in (1, 2, 3):
        name = f"patient{index:03d}"
        for frame in ("01", "12"):
            save(tmp_path / f"acdc/{name}/{name}_frame{frame}.nii.gz", noise(SHAPE, 20 * index + int(frame)))
            save(tmp_path / f"acdc/{name}/{name}_frame{frame}_gt.nii.gz", box(slice(2, 5)))
        save(tmp_path / f"acdc/{name}/{name}_4d.nii.gz", noise((*SHAPE, 2), index))
        (tmp_path / f"acdc/{name}/Info.cfg").write_text("Group: NOR")
    report = build(tmp_path / "acdc", tmp_path / "out")
    cases = read_datalist(tmp_path / "out")["training"]
    assert [case["case_id"] for case in cases][:2] == ["patient001_frame01", "patient001_frame12"]
    assert [case["patient"] for case in cases] == [name for i in (1, 2, 3) for name in [f"patient{i:03d}"] * 2]
    assert "by their folders" in report.patients
    assert any("left out: 3 (patient001_4d.nii.gz" in note for note in report.notes)


def test_masks_of_structures_are_joined_into_one_label(tmp_path: Path) -> None:
    report = build(organs(tmp_path / "ts"), tmp_path / "out")
    dataset, datalist = read_dataset(tmp_path / "out"), read_datalist(tmp_path / "out")
    assert [(label["value"], label["name"]) for label in dataset["labels"]] == [
        (0, "background"), (1, "kidney_left"), (2, "liver"), (3, "spleen"),
    ]  # fmt: skip
    assert dataset["modality"] == "CT" and any("by the names of structures" in note for note in report.notes)
    label = nib.load(datalist["training"][0]["label"])
    assert Path(datalist["training"][0]["label"]) == tmp_path / "out/labels/s0000.nii.gz"
    expected = sum(box(where, value) for value, where in enumerate(ORGANS.values(), start=1))
    assert np.array_equal(np.asarray(label.dataobj), expected) and np.allclose(label.affine, RAS)
    assert check(tmp_path / "out") == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_some_structures_with_values_of_ones_own(tmp_path: Path, jobs: int) -> None:
    build(organs(tmp_path / "ts"), tmp_path / "out", label_names="7=spleen,3=Liver", jobs=jobs)
    assert [(label["value"], label["name"]) for label in read_dataset(tmp_path / "out")["labels"]][1:] == [
        (3, "Liver"), (7, "spleen"),
    ]  # fmt: skip
    label = nib.load(read_datalist(tmp_path / "out")["training"][0]["label"])
    assert np.unique(np.asarray(label.dataobj)).tolist() == [0, 3, 7]
    with pytest.raises(ConfigError, match="no mask is called 'livre'; there are kidney_left, liver, spleen"):
        build(tmp_path / "ts", tmp_path / "other", label_names="1=livre")
    assert not (tmp_path / "other").exists()


def test_folders_of_masks_beside_a_folder_of_images(tmp_path: Path) -> None:
    for folder in sorted(organs(tmp_path / "ts").iterdir()):
        (tmp_path / "raw/images").mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw/labels").mkdir(exist_ok=True)
        (folder / "ct.nii.gz").rename(tmp_path / f"raw/images/{folder.name}.nii.gz")
        (folder / "segmentations").rename(tmp_path / f"raw/labels/{folder.name}")
    assert detect(tmp_path / "raw") == "folders"
    build(tmp_path / "raw", tmp_path / "out")
    assert [label["name"] for label in read_dataset(tmp_path / "out")["labels"]][1:] == list(ORGANS)


def test_colour_pictures_with_a_mask_a_structure(tmp_path: Path) -> None:
    for index in range(3):
        name, folder = f"ISIC_{index}", tmp_path / f"skin/ISIC_{index}"
        (folder / "masks").mkdir(parents=True)
        grey = np.random.default_rng(index).integers(0, 255, (20, 24, 3)).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{name}.png")
        for place, structure in enumerate(("globules", "streaks")):
            mask = np.zeros((20, 24), np.uint8)
            mask[3 + 8 * place : 8 + 8 * place, 4:12] = 255
            Image.fromarray(mask).save(folder / f"masks/{name}_{structure}.png")
    build(tmp_path / "skin", tmp_path / "out")
    dataset, case = read_dataset(tmp_path / "out"), read_datalist(tmp_path / "out")["training"][0]
    assert dataset["channels"] == ["red", "green", "blue"]
    assert [label["name"] for label in dataset["labels"]][1:] == ["globules", "streaks"]
    assert np.unique(np.asarray(Image.open(case["label"]))).tolist() == [0, 1, 2] and case["label"].endswith("ISIC_0.png")


def _break_overlap(folder: Path) -> None:
    save(folder / "segmentations/spleen.nii.gz", box(slice(5, 8)))


def _break_values(folder: Path) -> None:
    save(folder / "segmentations/spleen.nii.gz", box(slice(6, 8)) + box(slice(8, 9), 2))


def _break_grid(folder: Path) -> None:
    save(folder / "segmentations/spleen.nii.gz", box(slice(6, 9)), np.diag([1.0, 1.0, 5.0, 1.0]))


def _break_shape(folder: Path) -> None:
    save(folder / "segmentations/spleen.nii.gz", np.ones((3, 3, 3), np.uint8))


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (_break_overlap, "D552", r"'liver' and 'spleen' share 20 voxels, first at \(5, 2, 2\)"),
        (_break_values, "D553", "spleen.nii.gz has the values 0, 1, 2; expected 0 outside and one value inside"),
        (_break_grid, "D553", "spleen.nii.gz lies .* mm away from kidney_left.nii.gz"),
        (_break_shape, "D553", r"spleen.nii.gz has shape \(3, 3, 3\)"),
        (lambda folder: (folder / "segmentations/spleen.nii.gz").write_bytes(b""), "D002", "spleen.nii.gz"),
    ],
)
def test_masks_that_cannot_be_joined_are_named(tmp_path: Path, spoil: Any, code: str, words: str) -> None:
    root = organs(tmp_path / "ts")
    spoil(root / "s0001")
    assert codes(check(root)) == {code}
    with pytest.raises(DataError, match=words):
        build(root, tmp_path / "out")
    assert not (tmp_path / "out/labels").exists()
    build(root, tmp_path / "some", label_names="1=liver")  # the others are whole


def test_a_mask_that_one_case_lacks_counts_as_absent_with_a_warning(tmp_path: Path) -> None:
    root = organs(tmp_path / "ts")
    (root / "s0002/segmentations/liver.nii.gz").unlink()
    (found,) = [finding for finding in check(root) if finding.level != "note"]
    assert (found.code, found.level) == ("D554", "warning") and "no mask of liver" in found.message
    build(root, tmp_path / "out")
    label = nib.load(tmp_path / "out/labels/s0002.nii.gz")
    assert np.unique(np.asarray(label.dataobj)).tolist() == [0, 1, 3]


@pytest.mark.parametrize("names", [{"a": "1", "b": "2"}, {"x": "x", "y": "y"}])
def test_names_that_say_nothing_are_refused(tmp_path: Path, names: Mapping[str, str]) -> None:
    for case, mark in names.items():
        save(tmp_path / f"raw/{case}/scan.nii.gz", noise(SHAPE, ord(case)))
        for number in (1, 2):
            save(tmp_path / f"raw/{case}/masks/{mark}{number}{case}.nii.gz", box(slice(number, number + 1)))
    (found,) = check(tmp_path / "raw")
    assert found.code == "D550" and "no structure can be told by them" in found.message


def test_folders_of_other_data_are_no_cases(tmp_path: Path) -> None:
    """Two folders of images and masks are no two cases, and loose images are none."""
    for index in range(3):
        save(tmp_path / f"a/pictures/p{index}.nii.gz", noise(SHAPE, index))
        save(tmp_path / f"a/masks/p{index}.nii.gz", box(slice(2, 5)))
    assert detect(tmp_path / "a") == "folders"
    for part in ("images", "labels", "masks"):
        save(tmp_path / f"b/train/{part}/p.nii.gz", noise(SHAPE))
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"A folder one level up or down has one\. Give it: .*b/train"):
            detect(tmp_path / "b")
        save(tmp_path / "b/train/overview.nii.gz", noise(SHAPE))  # then with an image beside the folders


def test_two_folders_of_masks_must_be_chosen_from(tmp_path: Path) -> None:
    root = organs(tmp_path / "ts", within="segmentations")
    for folder in root.iterdir():
        save(folder / "labels/lung.nii.gz", box(slice(0, 2)))
    (found,) = check(root)
    assert found.code == "D550" and "Choose one: --labels-dir labels" in found.message
    build(root, tmp_path / "out", labels_dir="segmentations")
    assert [label["name"] for label in read_dataset(tmp_path / "out")["labels"]][1:] == list(ORGANS)


def test_corrected_copies_keep_a_mask_a_structure(tmp_path: Path) -> None:
    root = organs(tmp_path / "ts", cases=2)
    path = root / "s0000/segmentations/liver.nii.gz"
    nib.save(nib.Nifti1Image(box(ORGANS["liver"]).astype(np.float64), RAS), path)
    repair(root, tmp_path / "fixed")
    assert sorted(file.name for file in (tmp_path / "fixed/s0000/segmentations").iterdir()) == [
        f"{name}.nii.gz" for name in ORGANS
    ]
    build(tmp_path / "fixed", tmp_path / "out")


def test_scans_to_predict_are_joined_by_the_names_of_the_channels(tmp_path: Path) -> None:
    root, channels = tumours(tmp_path / "brats", cases=2), ("t1c", "t1n", "t2f", "t2w")
    found = sort_files(sorted(root.rglob("*.nii.gz")), root, channels)
    assert [scan.name.name for scan in found.scans] == ["BraTS-GLI-00000-000.nii.gz", "BraTS-GLI-00001-000.nii.gz"]
    assert [path.name[-10:-7] for path in found.scans[0].files] == list(channels) and not found.scans[0].missing
    one = root / "BraTS-GLI-00001-000/BraTS-GLI-00001-000-t1n.nii.gz"
    assert scan_of_file(one, channels).files == found.scans[1].files
    for path in list((root / "BraTS-GLI-00000-000").iterdir()):  # called like the channels alone, in the folder of the case
        path.rename(path.with_name(path.name.removeprefix("BraTS-GLI-00000-000-")))
    (root / "BraTS-GLI-00001-000/BraTS-GLI-00001-000-t2f.nii.gz").unlink()
    first, second = sort_files(sorted(root.rglob("*.nii.gz")), root, channels).scans
    assert first.name.name == "BraTS-GLI-00000-000.nii.gz" and not first.missing
    assert "no t2f beside BraTS-GLI-00001-000-t1c.nii.gz" in second.missing


def test_a_file_called_segmentation_is_no_scan(tmp_path: Path) -> None:
    for name in ("imaging", "segmentation"):
        save(tmp_path / f"case/{name}.nii.gz", box(slice(1, 3)))
    found = sort_files(sorted(tmp_path.rglob("*.nii.gz")), tmp_path)
    assert [scan.files[0].name for scan in found.scans] == ["imaging.nii.gz"]


def pair(root: Path, folder: str, image: str, mask: str, seed: int = 0) -> None:
    save(root / folder / image, noise(SHAPE, seed))
    save(root / folder / mask, box(slice(2, 5)))


def test_images_with_one_mask_that_is_called_like_one_of_them_are_refused(tmp_path: Path) -> None:
    """Four slices of which one is labelled were four channels."""
    for case in ("a", "b", "c"):
        pair(tmp_path / "raw", case, "2.nii.gz", "2_mask.nii.gz", ord(case))
        save(tmp_path / f"raw/{case}/1.nii.gz", noise(SHAPE, 7 + ord(case)))
    (found,) = check(tmp_path / "raw")
    assert found.code == "D550" and "the mask is called like one of the images" in found.message
    for case in ("a", "b", "c"):  # what the message says to type
        (tmp_path / f"raw/{case}/2_mask.nii.gz").rename(tmp_path / f"raw/{case}/seg.nii.gz")
    assert read_source(tmp_path / "raw").channels == ("1", "2")


def test_one_pair_is_a_case_where_other_folders_have_several(tmp_path: Path) -> None:
    for case, frames in {"p1": (1, 2), "p2": (1, 2), "p3": (1,)}.items():
        for frame in frames:
            pair(tmp_path / "raw", case, f"{case}_f{frame}.nii.gz", f"{case}_f{frame}_gt.nii.gz", frame + ord(case[1]))
        save(tmp_path / f"raw/{case}/{case}_4d.nii.gz", noise((*SHAPE, 2)))
    source = read_source(tmp_path / "raw")
    assert [case.case_id for case in source.cases] == ["p1_f1", "p1_f2", "p2_f1", "p2_f2", "p3_f1"]
    assert source.faults == () and {case.patient for case in source.cases} == {"p1", "p2", "p3"}


def test_volumes_and_segmentations_are_paired_by_their_numbers(tmp_path: Path) -> None:
    for number in (0, 1, 2):
        pair(
            tmp_path / "raw", f"Training Batch {1 + number // 2}", f"volume-{number}.nii", f"segmentation-{number}.nii", number
        )
    cases = read_source(tmp_path / "raw").cases
    assert [case.label.name for case in cases if case.label] == [f"segmentation-{number}.nii" for number in (0, 1, 2)]


@pytest.mark.parametrize(("folder", "patients"), [("train", 2), ("Test set", 2), ("P7", 1), ("training_01_smith", 1)])
def test_a_folder_of_a_split_is_no_patient(tmp_path: Path, folder: str, patients: int) -> None:
    for name in ("ax", "by"):
        pair(tmp_path / "raw", folder, f"{name}.nii.gz", f"{name}_mask.nii.gz", ord(name[0]))
    report = build(tmp_path / "raw", tmp_path / "out")
    assert len({case["patient"] for case in read_datalist(tmp_path / "out")["training"]}) == patients
    assert ("if each case is a patient, type: --patient-regex each" in report.patients) is (patients == 1)


def test_a_second_mask_of_an_image_is_not_left_out_as_an_image(tmp_path: Path) -> None:
    for number in (1, 2):
        pair(tmp_path / "raw", "benign", f"benign ({number}).nii.gz", f"benign ({number})_mask.nii.gz", number)
    save(tmp_path / "raw/benign/benign (2)_mask_1.nii.gz", box(slice(6, 8)))
    (found,) = check(tmp_path / "raw")
    assert found.code == "D550" and "no image is called like benign (2)_mask_1.nii.gz" in found.message


def test_channels_that_differ_by_case_alone_are_one(tmp_path: Path) -> None:
    root = tumours(tmp_path / "brats")
    name = "BraTS-GLI-00001-000"
    (root / name / f"{name}-t1c.nii.gz").rename(root / name / f"{name}-T1C.nii.gz")
    source = read_source(root)
    assert source.channels == ("t1c", "t1n", "t2f", "t2w") and len(source.cases) == 3 and not source.faults


def test_a_contrast_that_all_images_of_a_case_share_stays_in_the_names_of_channels(tmp_path: Path) -> None:
    """T1 before and after contrast agent in one folder, T2 in the other, were the same two channels."""
    for case, contrast in {"p1": "t1", "p2": "t2"}.items():
        for time in ("pre", "post"):
            save(tmp_path / f"raw/{case}/{case}_{contrast}_{time}.nii.gz", noise(SHAPE, ord(time[1])))
        save(tmp_path / f"raw/{case}/{case}_seg.nii.gz", box(slice(2, 5)))
    assert codes(check(tmp_path / "raw")) == {"D550"}
    for path in list((tmp_path / "raw/p2").glob("p2_t2_*")):
        path.rename(path.with_name(path.name.replace("t2", "t1")))
    assert read_source(tmp_path / "raw").channels == ("t1_post", "t1_pre")
    for case in ("p1", "p2"):  # dates are no contrasts
        for path in list((tmp_path / f"raw/{case}").glob("*_t1_*")):
            path.rename(path.with_name(path.name.replace("_t1_", f"_201{case[1]}_")))
    assert read_source(tmp_path / "raw").channels == ("post", "pre")


def test_several_images_where_the_others_have_one_are_told_so(tmp_path: Path) -> None:
    for case in ("a", "b", "c"):
        pair(tmp_path / "raw", case, "ct.nii.gz", "seg.nii.gz", ord(case))
    save(tmp_path / "raw/b/pet.nii.gz", noise(SHAPE))
    (found,) = check(tmp_path / "raw")
    assert found.code == "D551" and found.message.startswith(
        "2 images, of which none is the one that other folders have: ct, pet"
    )


def test_another_folder_of_masks_is_named_by_labels_dir(tmp_path: Path) -> None:
    root = organs(tmp_path / "ts", within="organs")
    with pytest.raises(ConfigError, match="no known layout"):
        check(root)
    assert check(root, labels_dir="organs") == []
    organs(root)
    with pytest.raises(ConfigError, match=r"--labels-dir nothere: no folder in .* holds one of this name"):
        check(root, labels_dir="nothere")


def test_case_folders_one_level_off_are_proposed(tmp_path: Path) -> None:
    tumours(tmp_path / "brats/HGG")
    tumours(tmp_path / "brats/LGG")
    with pytest.raises(ConfigError, match=r"Give it: .*brats/HGG, .*brats/LGG"):
        detect(tmp_path / "brats")
    one = tmp_path / "brats/HGG/BraTS-GLI-00001-000"
    with pytest.raises(ConfigError, match=r"Give it: .*brats/HGG$"):
        detect(one)
    shutil.copytree(one, tmp_path / "alone/case")
    assert detect(tmp_path / "alone/case") == "pairs"  # the only case of a data set


def test_what_an_archive_of_a_mac_adds_is_no_case(tmp_path: Path) -> None:
    root = organs(tmp_path / "ts")
    (root / "__MACOSX/s0000").mkdir(parents=True)
    (root / "__MACOSX/s0000/._ct.nii.gz").write_bytes(b"\0\5\x16\7")
    (root / "s0000/segmentations/._liver.nii.gz").write_bytes(b"\0\5\x16\7")
    assert check(root) == []
