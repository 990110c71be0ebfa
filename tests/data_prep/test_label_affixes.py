"""Labels whose names carry what images lack: paired when all carry the same, else the message says what to take off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prep_samples import cube, noise, save, write_json
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.files import read_datalist
from data_prep.label_affixes import pair_labels
from data_prep.layouts import read_source

RUN = CliRunner()
WIDE = {"COLUMNS": "400"}
PAIRED = {
    "seg": ("p{}", "p{}_seg"), "seg.nrrd of Slicer": ("p{}", "p{}.seg"), "label": ("p{}", "p{}-label"),
    "mask": ("p{}", "p{}_mask"),
    "gt": ("case_{}", "case_{}_gt"), "segmentation": ("ISIC_000{}", "ISIC_000{}_segmentation"), "manual": ("{}", "{}_manual1"),
    "observer": ("Image_0{}L", "Image_0{}L_1stHO"), "DRIVE": ("2{}_training", "2{}_manual1"), "channel": ("c{}", "c{}_0000"),
    "both in front": ("img_{}", "mask_{}"), "front of labels": ("p{}", "label_p{}"), "image behind": ("p{}_image", "p{}_label"),
    "numbers straight behind": ("img000{}", "label000{}"),
    "capitals": ("p{}", "p{}_SEG"), "any ending of all": ("p{}", "p{}_byHand"), "two words": ("p{}", "p{}_ground_truth"),
}  # fmt: skip


@pytest.mark.parametrize(("image", "label"), PAIRED.values(), ids=PAIRED.keys())
def test_one_ending_of_all_labels_is_taken_off(image: str, label: str) -> None:
    labels = {label.format(i): Path(label.format(i)) for i in range(1, 5)}
    pairs = pair_labels([image.format(i) for i in range(1, 5)], labels)
    assert pairs.labels == {image.format(i): Path(label.format(i)) for i in range(1, 5)} and not pairs.orphans
    assert "paired by their names without" in pairs.note


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (["a_1", "a_2"], ["b_1", "b_2"]),  # the numbers alone prove nothing
        (["p1", "p2"], ["p1_seg", "p2_mask"]),
        (["p1", "p2", "p3"], ["p1_byHand", "p2_byHand"]),
        (["p1", "p2"], ["q1_seg", "q2_seg"]),
        (["p_1", "p_11"], ["p_1_0001", "p_11_0002"]),
    ],
)
def test_other_names_are_not_guessed(images: list[str], labels: list[str]) -> None:
    pairs = pair_labels(images, {name: Path(name) for name in labels})
    assert not pairs.labels and [path.name for path in pairs.orphans] == labels


@pytest.mark.parametrize("label", ["img_{}", "IMG_{}_seg", "img_{}_SEG"])
def test_names_that_differ_in_capitals_are_those_of_one_case(label: str) -> None:
    """Cameras write IMG_1.JPG, and programs img_1.png."""
    labels = {label.format(i): Path(label.format(i)) for i in range(1, 5)}
    pairs = pair_labels([f"IMG_{i}" if "img" in label else f"img_{i}" for i in range(1, 5)], labels)
    assert len(pairs.labels) == 4 and not pairs.orphans and "paired by their names without" in pairs.note
    assert all(path.name.casefold().startswith(name.casefold()) for name, path in pairs.labels.items())


def test_capitals_are_told_and_count_where_they_alone_tell_two_apart() -> None:
    pairs = pair_labels(["P1", "p1", "P2", "Q3"], {name: Path(name) for name in ("P1", "p1", "p2", "q3")})
    assert {name: path.name for name, path in pairs.labels.items()} == {"P1": "P1", "p1": "p1", "P2": "p2", "Q3": "q3"}
    assert pairs.note == "images and labels are paired by their names without regard to capitals"
    pairs = pair_labels(["P1", "p1"], {name: Path(name) for name in ("P1_seg", "p1_SEG")})
    assert not pairs.labels, "nobody knows which"


def test_equal_names_stay_as_they_are() -> None:
    pairs = pair_labels(["p1_seg", "p2_seg"], {name: Path(name) for name in ("p1_seg", "p2_seg")})
    assert set(pairs.labels) == {"p1_seg", "p2_seg"} and pairs.note == ""


def test_volumes_are_built(tmp_path: Path) -> None:
    for index in range(5):
        save(tmp_path / f"raw/images/p{index}.nii.gz", noise((6, 7, 8), index))
        save(tmp_path / f"raw/labels/p{index}_seg.nii.gz", cube((6, 7, 8)))
    said = RUN.invoke(app, ["build", str(tmp_path / "raw"), "--output", str(tmp_path / "out")], env=WIDE)
    assert said.exit_code == 0 and "paired by their names without '_seg'" in said.output, said.output
    case = read_datalist(tmp_path / "out")["testing"][0]
    assert case["label"].endswith(f"/labels/{case['case_id']}_seg.nii.gz")
    assert RUN.invoke(app, ["repair", str(tmp_path / "raw"), "--output", str(tmp_path / "copy")]).exit_code == 0


def test_pictures_in_another_label_folder_are_built(tmp_path: Path) -> None:
    for index in range(1, 6):
        for folder, name, array in (
            ("images", "img", noise((9, 8), index).astype(np.uint8)),
            ("masks", "mask", cube((9, 8), 255)),
        ):
            (tmp_path / "raw" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / f"raw/{folder}/{name}_{index:03d}.png")
    words = ["build", str(tmp_path / "raw"), "--output", str(tmp_path / "out"), "--labels-dir", "masks"]
    said = RUN.invoke(app, words, env=WIDE)
    assert said.exit_code == 0 and "without 'mask_' and 'img_'" in said.output, said.output


def test_nnunet_labels_with_a_channel_number(tmp_path: Path) -> None:
    names = {"background": 0, "x": 1}
    write_json(tmp_path / "raw/dataset.json", {"channel_names": {"0": "T1"}, "labels": names, "file_ending": ".nii.gz"})
    for index in range(4):
        where = "Ts" if index == 3 else "Tr"
        save(tmp_path / f"raw/images{where}/MI_0{index}_0000.nii.gz", noise((6, 7, 8), index))
        save(tmp_path / f"raw/labels{where}/MI_0{index}_0000.nii.gz", cube((6, 7, 8)))
    said = RUN.invoke(app, ["build", str(tmp_path / "raw"), "--output", str(tmp_path / "out")], env=WIDE)
    assert said.exit_code == 0, said.output
    assert [case["case_id"] for case in read_datalist(tmp_path / "out")["testing"]] == ["MI_03"]


def test_a_message_names_what_to_take_off(tmp_path: Path) -> None:
    for index in range(3):
        save(tmp_path / f"raw/images/p{index}.nii.gz", noise((6, 7, 8), index))
    for name in ("p0", "p1_seg", "p2_byHand"):
        save(tmp_path / f"raw/labels/{name}.nii.gz", cube((6, 7, 8)))
    said = RUN.invoke(app, ["check", str(tmp_path / "raw")], env=WIDE)
    assert said.exit_code == 3 and "it would be that of 'p1' if it were called p1.nii.gz" in said.output, said.output
    (tmp_path / "raw/labels/p1_seg.nii.gz").rename(tmp_path / "raw/labels/p1_byHand.nii.gz")
    said = RUN.invoke(app, ["check", str(tmp_path / "raw")], env=WIDE)
    assert "all such labels end in '_byHand'" in said.output, said.output


def test_a_label_without_an_image_does_not_part_the_others(tmp_path: Path) -> None:
    """Of 2,594 masks one may have no picture; it is told, and the others keep their images."""
    labels = {f"ISIC_{index}_segmentation": Path(f"{index}.png") for index in range(6)}
    pairs = pair_labels([f"ISIC_{index}" for index in range(1, 8)], labels)
    assert pairs.labels == {f"ISIC_{index}": Path(f"{index}.png") for index in range(1, 6)}
    assert pairs.orphans == (Path("0.png"),) and "'_segmentation'" in pairs.note
    few = {f"ISIC_{index}_segmentation": Path(f"{index}.png") for index in (1, 11, 12, 13)}
    assert pair_labels(["ISIC_1", "ISIC_2"], few).labels == {}, "one of four is chance"


@pytest.mark.parametrize("labels", ["masks", "Ground Truth"])
def test_names_beside_two_folders_of_other_names(labels: str, tmp_path: Path) -> None:
    for index in range(3):
        for folder, array in (("photos", noise((9, 8), index).astype(np.uint8)), (labels, cube((9, 8), 255))):
            (tmp_path / "raw" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / f"raw/{folder}/{index}.png")
    write_json(tmp_path / "raw/labels.json", {"255": "lesion"})
    assert read_source(tmp_path / "raw").label_names == {255: "lesion"}
    write_json(tmp_path / f"raw/{labels}.json", {"255": "own"})
    assert read_source(tmp_path / "raw").label_names == {255: "own"}
