"""A data set in parts: train/, val/ and test/, or a folder for each site, in all forms of images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prep_samples import cube, noise, save, write_json
from typer.testing import CliRunner

from data_prep.build import build
from data_prep.check import check
from data_prep.cli import app
from data_prep.errors import ConfigError, DataError, DataListError
from data_prep.files import read_datalist, read_dataset
from data_prep.layouts import detect, read_source
from data_prep.layouts.common import split_of
from data_prep.repair import repair
from data_prep.scans import sort_files

RUN = CliRunner()
SHAPE = (8, 9, 10)
SPLITS = {"train": "training", "val": "validation", "test": "testing"}
Writer = Callable[[Path, Path, str, int], None]  # folder of images, folder of masks, name, seed


def volume(images: Path, masks: Path, name: str, seed: int) -> None:
    save(images / f"{name}.nii.gz", noise(SHAPE, seed), np.diag([1, 1, 2, 1]))
    save(masks / f"{name}.nii.gz", cube(SHAPE), np.diag([1, 1, 2, 1]))


def _picture(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def grey(images: Path, masks: Path, name: str, seed: int) -> None:
    _picture(images / f"{name}.png", (noise((20, 22), seed) // 4).astype(np.uint8))
    _picture(masks / f"{name}.png", cube((20, 22)))


def colour(images: Path, masks: Path, name: str, seed: int) -> None:
    _picture(images / f"{name}.jpg", (noise((20, 22, 3), seed) // 4).astype(np.uint8))
    _picture(masks / f"{name}_mask.png", cube((20, 22)))


def channels(images: Path, masks: Path, name: str, seed: int) -> None:
    for place, contrast in enumerate(("t1", "t2")):
        save(images / f"{name}_{contrast}.nii.gz", noise(SHAPE, 100 * place + seed))
    save(masks / f"{name}_seg.nii.gz", cube(SHAPE))


FORMS: dict[str, Writer] = {"volumes": volume, "grey": grey, "colour": colour, "several channels": channels}


def in_parts(root: Path, write: Writer, names: dict[str, str] | None = None, within: bool = False, each: int = 3) -> Path:
    """`each` cases a part; `names`: folder -> prefix of its cases. `within`: images/train and masks/train."""
    for place, (part, prefix) in enumerate((names or {"train": "a", "val": "b", "test": "c"}).items()):
        folders = (root / "images" / part, root / "masks" / part) if within else (root / part / "images", root / part / "masks")
        if write is channels and not within:  # masks lie beside their images, in one folder
            folders = (root / part, root / part)
        for number in range(each):
            write(*folders, f"{prefix}{number}", 10 * place + number)
    return root


def by_split(folder: Path) -> dict[str, list[str]]:
    content = read_datalist(folder)
    return {split: [case["case_id"] for case in content[split]] for split in SPLITS.values()}


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "training"), ("Training Set", "training"), ("a. Training Set", "training"), ("train_batch 2", "training"),
        ("valid", "validation"), ("val", "validation"), ("Validation", "validation"), ("b) testing", "testing"),
        ("ts", "testing"), ("trainer", None), ("valve", None), ("tests of hearing", None), ("contest", None), ("p1", None),
    ],
)  # fmt: skip
def test_what_a_folder_is_called_for(folder: str, split: str | None) -> None:
    assert split_of(folder) == split


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("within", [False, True], ids=["train/images", "images/train"])
def test_folders_called_like_splits_are_the_splits(form: str, within: bool, tmp_path: Path) -> None:
    root = in_parts(tmp_path / "raw", FORMS[form], within=within)
    done = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out"), "--label-names", "1=organ"])
    assert done.exit_code == 0, done.output
    expected = {"training": ["a0", "a1", "a2"], "validation": ["b0", "b1", "b2"], "testing": ["c0", "c1", "c2"]}
    assert by_split(tmp_path / "out") == expected
    said = " ".join(done.output.split())
    assert "splits are those of the folders: train/ 3, val/ 3, test/ 3 cases; to split anew, type: --layout sites" in said
    assert len(read_dataset(tmp_path / "out")["channels"]) == {"colour": 3, "several channels": 2}.get(form, 1)
    assert check(root) == [] and check(tmp_path / "out") == []


def test_a_split_that_no_folder_has_is_drawn_from_training(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "raw", volume, {"Training": "a", "Testing": "c"}, each=6)
    build(root, tmp_path / "out", label_names="1=organ")
    found = by_split(tmp_path / "out")
    assert found["testing"] == [f"c{n}" for n in range(6)] and len(found["validation"]) == 1 and len(found["training"]) == 5
    with pytest.raises(ConfigError, match=r"--test-fraction 0\.5: the data set itself says which cases are of testing"):
        build(root, tmp_path / "other", label_names="1=organ", test_fraction=0.5)
    build(root, tmp_path / "anew", label_names="1=organ", layout="sites")
    content = read_datalist(tmp_path / "anew")
    assert {case["site"] for split in SPLITS.values() for case in content[split]} == {"Training", "Testing"}
    assert len(content["testing"]) == 2


def test_tests_without_masks_are_left_out_and_said(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "raw", colour, {"train": "a", "val": "b"})
    for number in range(2):
        colour(root / "test/images", tmp_path / "thrown away", f"c{number}", 40 + number)
    report = build(root, tmp_path / "out", label_names="1=organ")
    assert any(
        "test/: 2 images without masks, left out. To segment them: monai-hybrid predict" in note for note in report.notes
    )
    assert by_split(tmp_path / "out")["testing"] == []
    with pytest.raises(ConfigError, match="there is no such label folder"):  # a folder of masks that fit no image is no test
        _picture(root / "test/masks/strange.png", cube((20, 22)))
        read_source(root)
    for name in ("c0", "c1"):
        _picture(root / f"test/masks/{name}.png", cube((20, 22)))
    assert {finding.code for finding in check(root)} == {"D404"}


def test_cases_of_the_same_names_are_called_by_their_parts(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "raw", grey, {"train": "", "test": ""})
    report = build(root, tmp_path / "out", label_names="1=organ")
    found = by_split(tmp_path / "out")
    assert found["training"] + found["validation"] == ["train_0", "train_1", "train_2"]
    assert found["testing"] == ["test_0", "test_1", "test_2"]
    assert any("so each is called by its part too" in note for note in report.notes)


def test_a_patient_in_two_parts_is_told(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "raw", volume, {"train": "a", "test": "c"})
    (root / "cases.csv").write_text("file,patient\na0,anna\na1,bert\na2,carl\nc0,anna\nc1,dora\nc2,emil\n")
    finding = next(finding for finding in check(root) if finding.code == "D407")
    assert "training" in finding.message and "testing" in finding.message
    with pytest.raises(DataError, match="D407"):
        build(root, tmp_path / "out", label_names="1=organ")
    build(root, tmp_path / "out", label_names="1=organ", layout="sites")
    assert any({"a0", "c0"} <= set(names) for names in by_split(tmp_path / "out").values())


def test_masks_of_structures_in_parts_and_names_beside_them(tmp_path: Path) -> None:
    for part, split in (("train", "a"), ("test", "c")):
        for number in range(3):
            name = f"{split}{number}"
            save(tmp_path / f"raw/images/{part}/{name}.nii.gz", noise(SHAPE, 10 * ord(split) + number))
            for value, structure in enumerate(("liver", "spleen"), start=1):
                mask = np.roll(cube(SHAPE), 3 * value, axis=2)
                save(tmp_path / f"raw/labels/{part}/{name}/{structure}.nii.gz", mask)
    write_json(tmp_path / "raw/labels.json", {"1": "spleen", "5": "liver"})
    build(tmp_path / "raw", tmp_path / "out")
    labels = {label["name"]: label["value"] for label in read_dataset(tmp_path / "out")["labels"]}
    assert labels == {"background": 0, "spleen": 1, "liver": 5}


@pytest.mark.parametrize("layout", ["folders a case", "masks beside images"])
def test_parts_of_other_layouts(layout: str, tmp_path: Path) -> None:
    for part, split in (("training", "a"), ("testing", "c")):
        for number in range(3):
            name = f"{split}{number}"
            place = tmp_path / "raw" / part / name if layout == "folders a case" else tmp_path / "raw" / part
            save(place / f"{name}.nii.gz", noise(SHAPE, 10 * ord(split) + number))
            save(place / f"{name}_gt.nii.gz", cube(SHAPE))
    source = read_source(tmp_path / "raw")
    assert source.layout == "parts" and [case.split for case in source.cases] == 3 * ["training"] + 3 * ["testing"]
    build(tmp_path / "raw", tmp_path / "out", label_names="1=organ")
    assert by_split(tmp_path / "out")["testing"] == ["c0", "c1", "c2"]


def test_sites_are_asked_for(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "raw", volume, {"north": "a", "south": "b"})
    with pytest.raises(
        ConfigError, match="no known layout; to take its folders as one data set, a site each, type: --layout sites"
    ):
        detect(root)
    with pytest.raises(
        ConfigError, match="has no such parts; expected train/ and val/ or test/; for others type: --layout sites"
    ):
        read_source(root, "parts")
    done = RUN.invoke(
        app, ["build", str(root), "--layout", "sites", "--output", str(tmp_path / "out"), "--label-names", "1=organ"]
    )
    assert done.exit_code == 0, done.output
    content = read_datalist(tmp_path / "out")
    assert {(case["case_id"][0], case["site"]) for split in SPLITS.values() for case in content[split]} == {
        ("a", "north"),
        ("b", "south"),
    }


def test_parts_that_differ_are_refused(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "raw", channels, {"train": "a", "test": "c"})
    for file in (root / "test").glob("*_t2.nii.gz"):
        file.rename(file.with_name(file.name.replace("_t2", "_flair")))
    with pytest.raises(DataListError, match=r"parts have other channels: train/ has t1, t2; test/ has flair, t1\. Bring"):
        read_source(root)
    other = in_parts(tmp_path / "other", volume, {"train": "a", "test": "c"})
    write_json(other / "train/masks.json", {"1": "liver"})
    write_json(other / "test/masks.json", {"1": "spleen"})
    with pytest.raises(DataListError, match="parts have other names of labels"):
        read_source(other)


def test_repair_keeps_the_parts(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "raw", volume, {"train": "a", "test": "c"})
    write_json(root / "train/masks.json", {"1": "liver"})
    save(root / "test/masks/c0.nii.gz", cube(SHAPE).astype(np.float32) * np.float32(0.9999), np.diag([1, 1, 2, 1]))
    report = repair(root, tmp_path / "out")
    assert [entry.code for entry in report.repairs] == ["D302"] and report.remaining == []
    assert json.loads((tmp_path / "out/train/masks.json").read_text()) == {"1": "liver"}
    assert read_source(tmp_path / "out").layout == "parts"


def test_images_in_train_and_masks_beside_it_are_two_folders(tmp_path: Path) -> None:
    """As Carvana lies: train/, train_masks/, and test/ without masks."""
    for number in range(3):
        colour(tmp_path / "train", tmp_path / "train_masks", f"a{number}", number)
        colour(tmp_path / "test", tmp_path.parent / "elsewhere", f"c{number}", 50 + number)
    source = read_source(tmp_path)
    assert source.layout == "folders" and [case.case_id for case in source.cases] == ["a0", "a1", "a2"]


def test_what_is_wrong_with_a_part_is_said(tmp_path: Path) -> None:
    root = in_parts(tmp_path, volume, {"train": "a", "test": "c"})
    for part in ("train", "test"):
        (root / part / "masks").rename(root / part / "drawn")
    with pytest.raises(ConfigError, match=r"train/labels: there is no such label folder; .*train holds drawn, images"):
        read_source(root)


def test_lesions_of_eyes_in_folders_of_other_names_and_counted(tmp_path: Path) -> None:
    """As IDRiD lies: two folders of splits, a folder for each lesion, and no mask where an eye has none."""
    root = tmp_path / "A. Segmentation"
    for place, part in enumerate(("a. Training Set", "b. Testing Set")):
        for number in range(3):
            name = f"IDRiD_{3 * place + number:02d}"
            colour(root / "1. Original Images" / part, tmp_path / "elsewhere", name, 10 * place + number)
            for row, (folder, end) in enumerate((("1. Microaneurysms", "MA"), ("2. Haemorrhages", "HE"))):
                if (number, end) != (1, "HE"):
                    mask = np.roll(cube((20, 22)), 4 * row, axis=0)
                    _picture(root / "2. All Segmentation Groundtruths" / part / folder / f"{name}_{end}.tif", mask)
    report = build(root, tmp_path / "out")
    assert [label["name"] for label in read_dataset(tmp_path / "out")["labels"]] == [
        "background",
        "Haemorrhages",
        "Microaneurysms",
    ]
    assert {k: len(v) for k, v in by_split(tmp_path / "out").items()} == {"training": 3, "validation": 0, "testing": 3}
    assert [finding.code for finding in report.findings] == ["D554", "D554"]
    scans = sort_files(sorted(path for path in root.rglob("*.*") if path.is_file()), root).scans
    assert [scan.files[0].name for scan in scans] == [f"IDRiD_{number:02d}.jpg" for number in range(6)]


def test_prediction_finds_the_images_of_all_parts(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "raw", volume)
    scans = sort_files(sorted(path for path in root.rglob("*.nii.gz")), root).scans
    assert {scan.files[0].parent.name for scan in scans} == {"images"} and len(scans) == 9


@pytest.mark.parametrize("folders", [("train",), ("train", "docs"), ("val", "test")])
def test_a_part_alone_is_no_data_set_in_parts(folders: tuple[str, ...], tmp_path: Path) -> None:
    root = in_parts(tmp_path / "raw", volume, {folder: folder for folder in folders})
    with pytest.raises(ConfigError, match="A folder one level up or down has one"):
        read_source(root)


def over_time(root: Path) -> Path:
    """Some patients were scanned twice, one three times; names of visits say nothing of patients."""
    for number in range(1, 8):
        for place_in_time, visit in enumerate(("first", "second", "third")[: 1 + number % 3]):
            place = root / f"MU{number}" / f"visit_{visit}"
            save(place / "flair.nii.gz", noise(SHAPE, 10 * number + place_in_time))
            save(place / "mask.nii.gz", cube(SHAPE))
    return root


def test_a_folder_for_each_patient_holds_one_for_each_scan(tmp_path: Path) -> None:
    root = over_time(tmp_path / "raw")
    with pytest.raises(
        ConfigError, match="to take each folder for a patient, with a folder for each scan, type: --layout patients"
    ):
        read_source(root)
    done = RUN.invoke(app, ["build", str(root), "--layout", "patients", "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "each folder is a patient: 7 patients, 14 cases" in done.output and "a folder a case" not in done.output
    assert "patients: 7 in 14 cases, by their folders" in " ".join(done.output.split())
    splits = read_datalist(tmp_path / "out")
    seen = {case["case_id"]: case for split in SPLITS.values() for case in splits[split]}
    assert seen.keys() >= {"MU2_visit_first", "MU2_visit_third", "MU3_visit_first"} and len(seen) == 14
    assert all(case["patient"] == name.split("_")[0] and case["site"] == "unknown" for name, case in seen.items())
    groups = [{case["patient"] for case in splits[split]} for split in SPLITS.values()]
    assert all(groups) and sum(map(len, groups)) == 7, "no patient in two splits"


def test_folders_of_patients_are_corrected_as_they_lie(tmp_path: Path) -> None:
    repair(over_time(tmp_path / "raw"), tmp_path / "out", layout="patients")
    assert len(read_source(tmp_path / "out", "patients").cases) == 14
    with pytest.raises(ConfigError, match=r"--layout patients: .* has no such parts; expected a folder for each patient"):
        read_source(tmp_path / "raw/MU1/visit_first", "patients")
