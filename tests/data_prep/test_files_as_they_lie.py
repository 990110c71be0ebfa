"""Folders of images and masks under any name, and masks beside their images."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from prep_samples import noise, save
from typer.testing import CliRunner

from data_prep.build import build
from data_prep.check import check
from data_prep.cli import app
from data_prep.errors import ConfigError, DataError
from data_prep.files import read_datalist, read_dataset
from data_prep.label_affixes import pair_labels
from data_prep.layouts import detect, read_source
from data_prep.reading import read_volume
from data_prep.scans import sort_files

SHAPE = (10, 9, 8)
RUN = CliRunner()
WIDE = {"COLUMNS": "300"}


def volumes(*patterns: str, root: Path, cases: int = 4) -> Path:
    """A volume for each pattern but the last, which is that of the mask; {} is the number of the case."""
    for index in range(cases):
        for channel, pattern in enumerate(patterns[:-1]):
            save(root / pattern.format(index), noise(SHAPE, 10 * index + channel))
        mask = np.zeros(SHAPE, np.uint8)
        mask[2:6, 2:7, 1 + index % 3 : 6] = 1
        save(root / patterns[-1].format(index), mask)
    return root


def pictures(image: str, mask: str, root: Path, colour: bool = True, cases: int = 4) -> Path:
    for index in range(cases):
        drawn = np.zeros((20, 24), np.uint8)
        drawn[4:12, 6 + index : 16] = 255
        grey = noise((20, 24), index).clip(0, 255).astype(np.uint8)
        shown = np.stack([grey, grey // 2, 255 - grey], axis=2) if colour else grey
        for name, array in ((image, shown), (mask, drawn)):
            path = root / name.format(index)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    return root


def listed(folder: Path) -> dict[str, dict[str, object]]:
    return {case["case_id"]: dict(case) for part in read_datalist(folder).values() if isinstance(part, list) for case in part}


def by_command(root: Path, tmp_path: Path, *words: str) -> str:
    """`check`, `repair` and `build` as they are typed; the repaired copy is built too."""
    for command in (["check", str(root)], ["repair", str(root), "--output", str(tmp_path / "copy")]):
        said = RUN.invoke(app, [*command, *words], env=WIDE)
        assert said.exit_code == 0, said.output
    copy = RUN.invoke(app, ["build", str(tmp_path / "copy"), "--output", str(tmp_path / "second"), *words], env=WIDE)
    assert copy.exit_code == 0, copy.output
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out"), *words], env=WIDE)
    assert said.exit_code == 0, said.output
    assert listed(tmp_path / "out").keys() == listed(tmp_path / "second").keys()
    return said.output


@pytest.mark.parametrize(
    ("image", "mask", "cases"),
    [
        ("p{}.nii.gz", "p{}_seg.nii.gz", "p"),
        ("p{}.nii.gz", "p{}-label.nii.gz", "p"),
        ("volume-{}.nii", "segmentation-{}.nii", "volume-"),
        ("p{}_image.nii.gz", "p{}_mask.nii.gz", "p{}_image"),
    ],
)
def test_volumes_with_their_masks_beside(image: str, mask: str, cases: str, tmp_path: Path) -> None:
    said = by_command(volumes(image, mask, root=tmp_path / "raw"), tmp_path)
    assert "masks beside their images: 4 cases" in said
    found = listed(tmp_path / "out")
    assert len(found) == 4 and all(name.startswith(cases.split("{")[0]) for name in found)
    for case in found.values():
        number = re.search(r"\d", str(case["case_id"]))
        assert number and Path(str(case["label"])).name == mask.format(number[0])


def test_channels_with_their_mask_beside(tmp_path: Path) -> None:
    root = volumes("p_{}_t1.nii.gz", "p_{}_FLAIR.nii.gz", "p_{}_seg.nii.gz", root=tmp_path / "raw")
    (root / "p_0_FLAIR.nii.gz").rename(root / "p_0_flair.nii.gz")
    (root / "p_3_seg.nii.gz").unlink()
    report = build(root, tmp_path / "out", allow_unlabelled=True)
    assert "masks beside their images: 3 cases, channels: FLAIR, t1" in report.notes
    assert read_dataset(tmp_path / "out")["channels"] == ["FLAIR", "t1"]
    found = listed(tmp_path / "out")
    assert sorted(found) == ["p_0", "p_1", "p_2", "p_3"] and "label" not in found["p_3"]
    assert [Path(path).name for path in found["p_0"]["image"]] == ["p_0_flair.nii.gz", "p_0_t1.nii.gz"]  # type: ignore[attr-defined]


def test_channels_of_one_case_that_differ_by_case_alone_are_two(tmp_path: Path) -> None:
    for index in range(3):
        for channel, name in enumerate(("T1", "t1")):
            save(tmp_path / f"p{index}_{name}.nii.gz", noise(SHAPE, 10 * index + channel))
        save(tmp_path / f"p{index}_seg.nii.gz", np.ones(SHAPE, np.uint8))
    if len(list(tmp_path.iterdir())) < 9:
        pytest.skip("this file system does not tell upper case from lower case")
    source = read_source(tmp_path)
    assert source.channels == ("T1", "t1") and all(len(case.images) == 2 for case in source.cases)


def test_a_case_that_lacks_a_channel_is_told_and_left_out(tmp_path: Path) -> None:
    root = volumes("p{}_t1.nii.gz", "p{}_t2.nii.gz", "p{}_seg.nii.gz", root=tmp_path / "raw")
    (root / "p1_t2.nii.gz").unlink()
    save(root / "overview_all.nii.gz", noise(SHAPE, 9))
    (found,) = check(root)
    assert found.code == "D551" and found.message == "no t2; there are t1" and found.case == "p1"
    report = build(root, tmp_path / "out", accept="D551")
    assert "images that are no channel of a case, left out: 1 (overview_all.nii.gz)" in report.notes
    assert sorted(listed(tmp_path / "out")) == ["p0", "p2", "p3"]


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize(
    ("image", "mask"), [("p{}.jpg", "p{}_mask.png"), ("p{}.jpg", "p{}.png"), ("img_{}.png", "mask_{}.png")]
)
def test_pictures_with_their_masks_beside(image: str, mask: str, colour: bool, tmp_path: Path) -> None:
    by_command(pictures(image, mask, tmp_path / "raw", colour), tmp_path)
    assert read_dataset(tmp_path / "out")["channels"] == (["red", "green", "blue"] if colour else ["image"])
    assert all(str(case["label"]).endswith(".png") for case in listed(tmp_path / "out").values())


def test_an_image_without_a_mask_and_a_mask_without_an_image(tmp_path: Path) -> None:
    root = volumes("p{}.nii.gz", "p{}_seg.nii.gz", root=tmp_path / "raw")
    (root / "p0.nii.gz").unlink()
    (root / "p1_seg.nii.gz").unlink()
    assert {(found.code, found.case) for found in check(root) if found.level == "error"} == {("D403", "p1"), ("D404", "")}


def test_two_masks_of_one_image_are_refused(tmp_path: Path) -> None:
    root = volumes("p{}.nii.gz", "p{}_seg.nii.gz", root=tmp_path / "raw")
    save(root / "p2_label.nii.gz", np.ones(SHAPE, np.uint8))
    (found,) = check(root)
    assert found.code == "D550" and "p2.nii.gz has 2 masks: p2_label.nii.gz, p2_seg.nii.gz" in found.message


def test_two_masks_of_the_channels_of_a_case_are_refused(tmp_path: Path) -> None:
    root = volumes("p{}_t1.nii.gz", "p{}_t2.nii.gz", "p{}_seg.nii.gz", root=tmp_path / "raw")
    save(root / "p2_label.nii.gz", np.ones(SHAPE, np.uint8))
    (found,) = check(root)
    assert found.code == "D550" and "p2 has 2 masks: p2_label.nii.gz, p2_seg.nii.gz" in found.message


def test_other_endings_for_each_mask_are_no_channels(tmp_path: Path) -> None:
    for index, contrast in enumerate(("a", "b", "c")):
        save(tmp_path / f"raw/p{index}_{contrast}.nii.gz", noise(SHAPE, index))
        save(tmp_path / f"raw/p{index}_seg.nii.gz", np.ones(SHAPE, np.uint8))
    (found,) = check(tmp_path / "raw")
    assert found.code == "D550" and "channels cannot be told: p0_a.nii.gz" in found.message


def test_the_longest_name_of_a_mask_takes_a_channel(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    for name in ("a", "a_b", "c"):
        for contrast in ("t1", "t2"):
            save(root / f"{name}_{contrast}.nii.gz", noise(SHAPE, len(name)))
        save(root / f"{name}_seg.nii.gz", np.ones(SHAPE, np.uint8))
    assert {case.case_id: [path.name for path in case.images] for case in read_source(root).cases} == {
        name: [f"{name}_t1.nii.gz", f"{name}_t2.nii.gz"] for name in ("a", "a_b", "c")
    }


@pytest.mark.parametrize(
    ("images", "image", "masks", "mask"),
    [
        (
            "ISIC2018_Task1-2_Training_Input",
            "ISIC_000{}.jpg",
            "ISIC2018_Task1_Training_GroundTruth",
            "ISIC_000{}_segmentation.png",
        ),
        ("CXR_png", "CHNCXR_{}_0.png", "masks", "CHNCXR_{}_0_mask.png"),
        ("Original", "{}.png", "Ground Truth", "{}.png"),
        ("train", "{}.jpg", "train_masks", "{}_mask.png"),
        ("images", "{}.jpg", "masks", "{}.png"),
        ("images", "{}_training.tif", "1st_manual", "{}_manual1.gif"),
        (".", "p{}.png", "labels", "p{}.png"),
    ],
)
def test_two_folders_of_other_names(images: str, image: str, masks: str, mask: str, tmp_path: Path) -> None:
    root = pictures(f"{images}/{image}", f"{masks}/{mask}", tmp_path / "raw")
    (root / "test").mkdir()
    Image.fromarray(np.zeros((20, 24), np.uint8)).save(root / "test/unknown.png")
    said = by_command(root, tmp_path)
    where = "the folder itself" if images == "." else f"{images}/"
    assert f"images lie in {where}, masks in {masks}/" in said
    found = listed(tmp_path / "out")
    assert len(found) == 4 and all(Path(str(case["label"])).parent.name == masks for case in found.values())


def test_several_pairs_of_folders_are_chosen_from_by_the_line_that_is_told(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    for part in ("Training", "Validation"):
        pictures(f"{part}_Input/{part[0]}{{}}.jpg", f"{part}_GroundTruth/{part[0]}{{}}_segmentation.png", root)
    with pytest.raises(ConfigError, match="several folders of images and masks") as refused:
        detect(root)
    lines = str(refused.value).split("Type: ")[1].split("; ")
    assert len(lines) == 2
    words = shlex.split(lines[1])
    assert words == ["--images-dir", "Validation_Input", "--labels-dir", "Validation_GroundTruth"]
    by_command(root, tmp_path, *words)
    assert all("/Validation_Input/" in str(case["image"]) for case in listed(tmp_path / "out").values())
    build(root, tmp_path / "by_one_name", labels_dir="Training_GroundTruth")  # that is enough: one folder fits to it
    assert all("/Training_Input/" in str(case["image"]) for case in listed(tmp_path / "by_one_name").values())


def test_names_that_do_not_belong_together_are_no_data_set(tmp_path: Path) -> None:
    pictures("photos/a{}.jpg", "masks/b{}.png", tmp_path / "raw")
    with pytest.raises(ConfigError, match=r"no known layout; it holds masks, photos.*--images-dir NAME --labels-dir NAME"):
        detect(tmp_path / "raw")
    found = check(tmp_path / "raw", images_dir="photos", labels_dir="masks")
    assert {one.code for one in found} >= {"D403", "D404"}


@pytest.mark.parametrize("layout", ["auto", "cases"])
def test_a_folder_of_images_is_of_one_layout(layout: str, tmp_path: Path) -> None:
    root = tmp_path / "raw"
    for index in range(3):
        save(root / f"p{index}/ct.nii.gz", noise(SHAPE, index))
        save(root / f"p{index}/seg.nii.gz", np.ones(SHAPE, np.uint8))
    with pytest.raises((ConfigError, DataError), match=r"leave it out|no such folder"):
        read_source(root, layout, images_dir="ct")


def test_masks_beside_have_no_folder_of_labels(tmp_path: Path) -> None:
    root = volumes("p{}.nii.gz", "p{}_seg.nii.gz", root=tmp_path / "raw")
    with pytest.raises(ConfigError, match="masks lie beside their images; leave it out"):
        read_source(root, "pairs", labels_dir="labels")
    for mask in root.glob("*_seg.nii.gz"):
        mask.unlink()
    with pytest.raises(DataError, match="no mask beside its image; it holds 4 images"):
        read_source(root, "pairs")


def test_folders_within_and_masks_of_this_tool_are_told(tmp_path: Path) -> None:
    root = volumes("p{}.nii.gz", "p{}_label.nii.gz", root=tmp_path / "raw")
    (root / "old").mkdir()
    notes = read_source(root).notes
    assert "folders within were not looked into: old" in notes
    (root / "quality.csv").write_text("case_id,mask\np0,p0_seg.nii.gz\n")
    save(root / "p0_seg.nii.gz", np.ones(SHAPE, np.uint8))
    source = read_source(root)
    assert "masks or maps that this tool wrote, left out: 1 (p0_seg.nii.gz)" in source.notes
    assert {str(case.label) for case in source.cases} == {str(root / f"p{i}_label.nii.gz") for i in range(4)}


@pytest.mark.parametrize("masks", ["labels", "masks"])
def test_previews_and_maps_of_a_prediction_are_no_masks(masks: str, tmp_path: Path) -> None:
    """A folder of `predict` as the folder of labels, once its masks were corrected."""
    root = pictures("images/p {}.jpg", f"{masks}/p {{}}_seg.png", root=tmp_path / "raw")
    told = PngInfo()
    told.add_text("Description", "preview by monai_hybrid")
    for index in range(4):
        Image.fromarray(np.zeros((40, 48, 3), np.uint8)).save(root / masks / f"p {index}_preview.png", pnginfo=told)
    build(root, tmp_path / "out")
    assert {Path(str(case["label"])).name for case in listed(tmp_path / "out").values()} == {f"p {i}_seg.png" for i in range(4)}
    assert "previews or maps that this tool wrote beside masks, left out: 4 (" in " ".join(read_source(root).notes)


def test_what_windows_puts_among_pictures_is_no_scan(tmp_path: Path) -> None:
    root = pictures("images/p{}.jpg", "labels/p{}.png", root=tmp_path / "raw")
    for name in ("Thumbs.db", "desktop.ini", "scan.xyz"):
        (root / "images" / name).write_bytes(b"x")
    assert [path.name for path in read_source(root).ignored] == ["scan.xyz"]


def test_masks_of_a_prediction_beside_the_images_are_told(tmp_path: Path) -> None:
    root = pictures("p{}.jpg", "p{}_seg.png", root=tmp_path / "raw")
    (root / "quality.csv").write_text("case_id,mask\n" + "".join(f"p{i},p{i}_seg.png\n" for i in range(4)))
    with pytest.raises(ConfigError, match=r"; 4 images lie .*What this tool wrote .* in labels/ alone: 4 \(p0_seg\.png"):
        read_source(root)


OURS = PngInfo()
OURS.add_text("Description", "mask by monai_hybrid")


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("nnunet", [True, False])
def test_masks_of_a_prediction_into_the_folder_of_images_are_no_images(nnunet: bool, table: bool, tmp_path: Path) -> None:
    """They were cases without a label, which `--allow-unlabelled` took for images to train on."""
    images, labels, ending = ("imagesTr", "labelsTr", "_0000") if nnunet else ("images", "labels", "")
    root = pictures(f"{images}/p{{}}{ending}.png", f"{labels}/p{{}}.png", root=tmp_path / "raw", colour=False)
    if nnunet:
        labelled = '{"channel_names": {"0": "light"}, "labels": {"background": 0, "cell": 255}}'
        (root / "dataset.json").write_text(labelled)
    for index in range(4):
        for kind in ("seg", "preview"):
            Image.fromarray(np.full((20, 24), 9, np.uint8)).save(root / images / f"p{index}_{kind}.png", pnginfo=OURS)
    if table:
        (root / images / "quality.csv").write_text("case_id,mask\n" + "".join(f"p{i},p{i}_seg.png\n" for i in range(4)))
    source = read_source(root)
    assert [case.case_id for case in source.cases] == [f"p{i}" for i in range(4)]
    assert "masks or maps that this tool wrote, left out: 8 (p0_preview.png, " in " ".join(source.notes)


def test_images_that_are_called_like_masks_stay_images(tmp_path: Path) -> None:
    root = pictures("images/p{}_seg.png", "labels/p{}_seg.png", root=tmp_path / "raw")
    assert len(read_source(root).cases) == 4 and not read_source(root).notes
    for index in range(4):  # all of them were put there for images
        Image.fromarray(np.full((20, 24), 9, np.uint8)).save(root / f"images/p{index}_seg.png", pnginfo=OURS)
    assert len(read_source(root).cases) == 4


def lungs(
    root: Path, images: str = "CXR_png", masks: str = "ManualMask", names: tuple[str, ...] = ("leftMask", "rightMask")
) -> Path:
    """The layout of the chest X-rays of Montgomery County: a folder of masks for each lung."""
    pictures(f"{images}/MCUCXR_{{}}_0.png", "unused/{}.png", root, colour=False)
    for index in range(4):
        for side, name in enumerate(names):
            mask = np.zeros((20, 24), np.uint8)
            mask[4:16, 3 + 10 * side : 9 + 10 * side] = 255
            (root / masks / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(root / masks / name / f"MCUCXR_{index}_0.png")
    for file in (root / "unused").iterdir():
        file.unlink()
    (root / "unused").rmdir()
    return root


def test_a_folder_of_masks_for_each_structure(tmp_path: Path) -> None:
    root = lungs(tmp_path / "raw")
    (root / "ManualMask/leftMask/MCUCXR_3_0.png").unlink()
    said = by_command(root, tmp_path)
    assert "images lie in CXR_png/, masks in ManualMask/" in said
    assert "masks lie in a folder for each structure: leftMask, rightMask" in said and "D554" in said
    assert [(label["value"], label["name"]) for label in read_dataset(tmp_path / "out")["labels"]][1:] == [
        (1, "leftMask"),
        (2, "rightMask"),
    ]
    found = listed(tmp_path / "out")
    values = {case: set(np.unique(np.asarray(Image.open(str(entry["label"]))))) for case, entry in found.items()}
    assert values == {f"MCUCXR_{index}_0": {0, 2} if index == 3 else {0, 1, 2} for index in range(4)}


def test_structures_of_folders_are_chosen_by_name(tmp_path: Path) -> None:
    root = lungs(tmp_path / "raw", "images", "labels", ("heart_masks", "lung_masks"))
    build(root, tmp_path / "out", label_names="1=lung")
    assert [label["name"] for label in read_dataset(tmp_path / "out")["labels"]] == ["background", "lung"]
    label = Image.open(str(listed(tmp_path / "out")["MCUCXR_0_0"]["label"]))
    assert np.asarray(label)[5, 14] == 1 and np.asarray(label)[5, 4] == 0


def test_volumes_with_a_folder_of_masks_for_each_structure(tmp_path: Path) -> None:
    root = volumes("images/p{}.nii.gz", "labels/liver/p{}.nii.gz", root=tmp_path / "raw")
    for index in range(4):
        mask = np.zeros(SHAPE, np.uint8)
        mask[7:9, 2:7, 1:6] = 1
        save(root / f"labels/spleen/p{index}_seg.nii.gz", mask)
    (root / "labels/pictures").mkdir()
    save(root / "labels/pictures/overview.nii.gz", noise(SHAPE))
    said = by_command(root, tmp_path)
    assert "folders in labels/ without a mask of an image, left out: pictures" in said
    assert [label["name"] for label in read_dataset(tmp_path / "out")["labels"]][1:] == ["liver", "spleen"]


def test_one_folder_within_the_labels_is_the_folder_of_labels(tmp_path: Path) -> None:
    root = volumes("images/p{}.nii.gz", "labels/final/p{}.nii.gz", root=tmp_path / "raw")
    for file in (root / "labels/final").iterdir():
        save(file, np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.uint8) % 3)
    build(root, tmp_path / "out")
    assert len(read_dataset(tmp_path / "out")["labels"]) == 3


def test_two_folders_of_one_structure_are_refused(tmp_path: Path) -> None:
    (found,) = check(lungs(tmp_path / "raw", "images", "labels", ("lung_mask", "Lung")))
    assert found.code == "D550"
    assert "Lung/ and lung_mask/ are both masks of 'lung'; expected one for each structure" in found.message


def test_a_folder_of_masks_whose_name_cannot_be_told_is_refused(tmp_path: Path) -> None:
    (found,) = check(lungs(tmp_path / "raw", "images", "labels", ("left", "right\nlung")))
    assert found.code == "D550"
    assert "a folder of masks is called 'right\\nlung'; expected at most 200 printable characters" in found.message


@pytest.mark.parametrize(
    ("images", "masks"),
    [("photos/{}.png", "Ground Truth/{}.png"), ("CXR/{}.png", "ManualMask/left/{}.png"), ("{}.png", "gt/{}.png")],
)
def test_a_prediction_takes_no_mask_of_another_folder_for_a_scan(
    images: str, masks: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from monai_hybrid.bundle.cases import cases_to_predict

    root = pictures(images, masks, tmp_path / "raw")
    names = [case["case_id"] for case in cases_to_predict(str(root), str(tmp_path / "out"))]
    assert sorted(name.split("__")[-1] for name in names) == ["0", "1", "2", "3"]
    assert "left out: 4 in folders of labels" in caplog.text


def test_folders_of_masks_for_each_structure_beside_the_images_are_told_what_to_do(tmp_path: Path) -> None:
    root = pictures("images/{}.png", "left_masks/{}.png", tmp_path / "raw")
    pictures("images/{}.png", "right_masks/{}.png", root)
    with pytest.raises(ConfigError, match=r"If each is of a structure, put these folders of masks into one, labels/\. Choose"):
        read_source(root)
    (root / "labels").mkdir()
    for side in ("left", "right"):
        (root / f"{side}_masks").rename(root / f"labels/{side}_masks")
    assert read_source(root).label_names == {0: "background", 1: "left", 2: "right"}


def test_a_year_or_a_number_makes_no_mask(tmp_path: Path) -> None:
    for name in ("p1", "p1-2019", "p2", "p2 2019"):
        save(tmp_path / f"raw/{name}.nii.gz", noise(SHAPE, len(name)))
        save(tmp_path / f"raw/labels/{name}.nii.gz", np.ones(SHAPE, np.uint8))
    assert {case.case_id: case.label for case in read_source(tmp_path / "raw").cases} == {
        name: tmp_path / f"raw/labels/{name}.nii.gz" for name in ("p1", "p1-2019", "p2", "p2 2019")
    }
    files = sorted((tmp_path / "raw").glob("*.nii.gz"))
    assert [scan.files for scan in sort_files(files, tmp_path / "raw").scans] == [(file,) for file in files]
    shutil.rmtree(tmp_path / "raw/labels")
    with pytest.raises(ConfigError, match="4 images lie directly in it, and no mask"):
        detect(tmp_path / "raw")


@pytest.mark.parametrize("channels", [("0000", "0001"), ("norm", "orig")])
def test_channels_of_which_one_has_a_word_for_images(channels: tuple[str, str], tmp_path: Path) -> None:
    root = volumes(*(f"p{{}}_{name}.nii.gz" for name in channels), "p{}_seg.nii.gz", root=tmp_path / "raw")
    source = read_source(root)
    assert source.channels == channels and [case.case_id for case in source.cases] == ["p0", "p1", "p2", "p3"]
    assert all(case.label == root / f"{case.case_id}_seg.nii.gz" and len(case.images) == 2 for case in source.cases)


@pytest.mark.parametrize("labels", ["labels", "masks"])
def test_two_masks_of_one_name_in_a_folder_are_refused(labels: str, tmp_path: Path) -> None:
    root = pictures("images/p{}.png", f"{labels}/p{{}}.png", tmp_path / "raw")
    shutil.copy(root / "images/p2.png", root / labels / "p2.bmp")
    (found,) = check(root)
    assert found.code == "D550" and "p2.bmp and p2.png are both the mask of p2" in found.message
    said = found.message.split("passed over: ")[1]
    subprocess.run(shlex.split(said), check=True)
    assert not [one for one in check(root) if one.level == "error"]


def test_one_folder_cannot_be_that_of_images_and_of_masks(tmp_path: Path) -> None:
    root = pictures("a/p{}.png", "b/p{}.png", tmp_path / "raw")
    with pytest.raises(ConfigError, match="cannot be the same folder"):
        check(root, images_dir="b", labels_dir="b/")


def test_a_folder_of_labels_is_named_with_a_slash_or_without(tmp_path: Path) -> None:
    root = pictures("a/p{}.png", "b/p{}.png", tmp_path / "raw")
    (root / "b.json").write_text('{"255": "lung"}')
    for images, labels in (("a", "b"), ("a/", "b/")):
        assert read_source(root, images_dir=images, labels_dir=labels).label_names == {255: "lung"}


@pytest.mark.parametrize(("images", "masks"), [("images/p{}.png", "labels/p{}.png"), ("p{}.png", "labels/p{}.png")])
def test_the_name_of_the_folder_in_which_one_is(
    images: str, masks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = pictures(images, masks, tmp_path / "raw")
    monkeypatch.chdir(root)
    build(Path(), tmp_path / "out")
    assert read_dataset(tmp_path / "out")["name"] == "raw"


def test_a_folder_of_labels_that_does_not_fit_is_told(tmp_path: Path) -> None:
    root = volumes("p{}.nii.gz", "p{}_seg.nii.gz", root=tmp_path / "raw")
    (root / "labels").mkdir()
    with pytest.raises(ConfigError, match="masks lie beside their images; leave it out"):
        read_source(root, labels_dir="labels")
    with pytest.raises(ConfigError, match=r"nix: there is no such label folder.*Type: --labels-dir labels"):
        read_source(root, labels_dir="nix")


def test_a_folder_of_labels_within_makes_no_case_of_several_pairs(tmp_path: Path) -> None:
    for name in ("first", "second"):
        root = volumes("p{}.nii.gz", "p{}_seg.nii.gz", "labels/p{}.nii.gz", root=tmp_path / name)
    assert detect(root) == "pairs"


def test_masks_among_the_images_of_a_folder_are_told(tmp_path: Path) -> None:
    root = pictures("p{}.png", "labels/p{}.png", tmp_path / "raw")
    (root / "quality.csv").write_text("case_id,mask\np0,p0_seg.png\n")
    shutil.copy(root / "labels/p0.png", root / "p0_seg.png")
    source = read_source(root)
    assert len(source.cases) == 4 and "masks or maps that this tool wrote, left out: 1 (p0_seg.png)" in source.notes
    shutil.copy(root / "labels/p0.png", root / "p1_seg.png")
    source = read_source(root, images_dir=".")
    assert "called like masks, but in the folder of images, and so taken for images: 1 (p1_seg.png)" in source.notes


@pytest.mark.parametrize("mask", ["lung_masks/p{}.nii.gz", "Manual Labels/p{}.nii.gz", "liver_segs/p{}/left.nii.gz"])
def test_the_scans_of_two_folders_are_the_images_that_are_built(mask: str, tmp_path: Path) -> None:
    root = volumes("cxr/p{}.nii.gz", mask, root=tmp_path / "raw")
    built = [case.images for case in read_source(root).cases]
    assert [scan.files for scan in sort_files(sorted(root.rglob("*.nii.gz")), root).scans] == built


def test_folders_of_masks_lie_deeper_too(tmp_path: Path) -> None:
    for site in ("north", "south/2024"):
        volumes("cxr/p{}.nii.gz", "lung_masks/p{}.nii.gz", root=tmp_path / site)
    found = sort_files(sorted(tmp_path.rglob("*.nii.gz")), tmp_path)
    assert len(found.scans) == 8 and {scan.files[0].parent.name for scan in found.scans} == {"cxr"}
    assert "8 in folders of labels" in found.said()


def test_a_word_for_masks_in_a_folder_of_other_files_says_nothing(tmp_path: Path) -> None:
    for place in ("segment_1/ct", "segment_2/ct", "third/ct", "unlabelled/a", "labelled/b", "labelled/c"):
        save(tmp_path / f"{place}.nii.gz", noise(SHAPE, 1))
    assert len(sort_files(sorted(tmp_path.rglob("*.nii.gz")), tmp_path).scans) == 6


def test_many_files_are_sorted_in_a_moment(tmp_path: Path) -> None:
    save(tmp_path / "one.nii", noise((2, 2, 2), 1))
    root = tmp_path / "raw"
    root.mkdir()
    for index in range(3000):
        for end in ("t1", "t2", "seg"):
            (root / f"p{index}_{end}.nii").hardlink_to(tmp_path / "one.nii")
    began = time.process_time()
    assert len(read_source(root).cases) == 3000
    names = [f"p{index}" for index in range(20000)]
    assert len(pair_labels(names, {f"{name}_abc": tmp_path for name in names}).labels) == 20000
    assert time.process_time() - began < 10  # 30 s where each is held against each


@pytest.mark.parametrize("whole", [False, True])
def test_lines_to_type_name_the_folders_that_were_named(whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("Tr", "Va"):
        root = volumes(f"{part} In/{part}{{}}.nii.gz", f"{part} GT/{part}{{}}.nii.gz", root=tmp_path / "my set")
    with pytest.raises(ConfigError, match="several folders of images and masks"):
        detect(root)
    (root / "Tr GT/Tr0.nii.gz").unlink()
    (root / "Tr GT/Tr1.nii.gz").unlink()
    monkeypatch.chdir(tmp_path)
    names = [str(root / name) if whole else name for name in ("Tr In", "Tr GT")]
    words = ["--images-dir", names[0], "--labels-dir", names[1]]
    for command, out in ((["check", "my set"], "'my set_prepared'"), (["build", "my set", "--output", "x"], "x")):
        line = f"monai-hybrid build 'my set' {shlex.join(words)} --output {out} --allow-unlabelled"
        assert line in RUN.invoke(app, [*command, *words], env=WIDE).output
    copied = RUN.invoke(app, ["repair", "my set", *words, "--output", "copy"], env=WIDE).output
    assert "copy/Tr In/Tr0.nii.gz: this image has no label" in copied
    line = copied.split("or type: monai-hybrid ")[1].splitlines()[0]
    built = RUN.invoke(app, shlex.split(line), env=WIDE)
    assert built.exit_code == 0 and sorted(listed(tmp_path / "copy_prepared")) == ["Tr0", "Tr1", "Tr2", "Tr3"]
    assert line == "build copy --images-dir 'Tr In' --labels-dir 'Tr GT' --output copy_prepared --allow-unlabelled"


@pytest.mark.parametrize(("place", "words"), [("images", {}), (".", {"images_dir": "."}), ("scans", {"images_dir": "scans"})])
def test_masks_beside_the_images_of_a_folder_of_images(place: str, words: dict[str, str], tmp_path: Path) -> None:
    root = volumes("p{}.nii.gz", "p{}_seg.nii.gz", root=tmp_path / "raw" / place)
    with pytest.raises(ConfigError, match="masks lie beside their images there; give that folder") as refused:
        read_source(tmp_path / "raw", **words)  # type: ignore[arg-type]
    assert shlex.split(str(refused.value).rsplit(": ", 1)[1]) == [str(root)]
    assert detect(root) == "pairs"


def test_of_many_pairs_of_folders_it_is_said_how_many_there_are(tmp_path: Path) -> None:
    for index in range(7):
        pictures(f"s{index}/{index}_{{}}.png", f"s{index}_masks/{index}_{{}}.png", tmp_path, cases=1)
    with pytest.raises(ConfigError, match=r"--labels-dir s3_masks; and 3 more such pairs$"):
        detect(tmp_path)


def test_folders_with_images_and_labels_within_are_data_sets_and_no_cases(tmp_path: Path) -> None:
    for site in ("site A", "site B"):
        volumes("p{}.nii.gz", "labels/p{}.nii.gz", root=tmp_path / site)
    with pytest.raises(ConfigError, match="A folder one level up or down has one") as refused:
        detect(tmp_path)
    given = shlex.split(str(refused.value).split("Give it: ")[1].replace(",", ""))
    assert given == [str(tmp_path / site) for site in ("site A", "site B")]
    assert [detect(Path(place)) for place in given] == ["folders", "folders"]


ITK_SNAP = """################################################
# ITK-SnAP Label Description File
################################################
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "{}"
    2     0  255    0        1  1  1    "Label 2"
    3     0    0  255        1  1  1    "Label 3"
"""


@pytest.mark.parametrize("place", ["labels/labels.txt", "labels.txt", "atlas.label", "labels/mine.label"])
def test_names_come_from_the_label_description_of_itk_snap(place: str, tmp_path: Path) -> None:
    root = volumes("images/p{}.nii.gz", "labels/p{}.nii.gz", root=tmp_path / "raw")
    (root / place).write_text(ITK_SNAP.format("Liver"))
    report = build(root, tmp_path / "out")
    assert [label["name"] for label in read_dataset(tmp_path / "out")["labels"]] == ["background", "Liver"]
    assert f"labels are called as {root / place} says" in report.notes
    (root / "labels.json").write_text('{"1": "spleen"}')
    assert read_source(root).label_names == {1: "spleen"}, "what was written for this tool goes first"
    (root / "labels.json").unlink()
    (root / place).write_text(ITK_SNAP.format("Label 1"))
    assert read_source(root).label_names is None, "nobody has named them"


@pytest.mark.parametrize("layout", ["pairs", "cases"])
def test_the_label_description_beside_masks_of_other_layouts(layout: str, tmp_path: Path) -> None:
    names = ("p{}.nii.gz", "p{}_seg.nii.gz") if layout == "pairs" else ("p{}/ct.nii.gz", "p{}/seg.nii.gz")
    root = volumes(*names, root=tmp_path / "raw")
    (root / "labels.txt").write_text(ITK_SNAP.format("Liver"))
    source = read_source(root)
    assert source.layout == layout and (source.label_names or {})[1] == "Liver"
    build(root, tmp_path / "out")
    assert [label["name"] for label in read_dataset(tmp_path / "out")["labels"]] == ["background", "Liver"]


def loose(root: Path, image: Callable[[Path, int], object], end: str, mask_end: str) -> Path:
    """Three cases, and a mask for each structure in labels/: p0_liver, p0_spleen."""
    for number in range(3):
        image(root / f"images/p{number}{end}", number)
        for place, structure in enumerate(("liver", "spleen")):
            shape = SHAPE if mask_end == ".nii.gz" else (20, 24)
            mask = np.zeros(shape, np.uint8)
            mask[1 + 4 * place : 4 + 4 * place, 2:6] = 1
            path = root / f"labels/p{number}_{structure}{mask_end}"
            save(path, mask) if mask_end == ".nii.gz" else _draw(path, mask)
    return root


def _draw(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def _shown(path: Path, seed: int, colours: int = 0) -> None:
    shape = (20, 24, colours) if colours else (20, 24)
    _draw(path, np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8))


LOOSE: dict[str, tuple[Callable[[Path, int], object], str, str]] = {
    "volumes": (lambda path, seed: save(path, noise(SHAPE, seed), np.diag([1, 1, 2, 1])), ".nii.gz", ".nii.gz"),
    "grey": (_shown, ".png", ".png"),
    "colour": (lambda path, seed: _shown(path, seed, 3), ".jpg", ".png"),
}


@pytest.mark.parametrize("form", LOOSE)
def test_masks_of_structures_lie_in_one_folder(form: str, tmp_path: Path) -> None:
    image, end, mask_end = LOOSE[form]
    root = loose(tmp_path / "raw", image, end, mask_end)
    if form == "volumes":  # masks on the grid of their image
        for path in (root / "labels").iterdir():
            save(path, np.asarray(nib.load(path).dataobj), np.diag([1, 1, 2, 1]))
    (root / f"labels/p1_spleen{mask_end}").unlink()
    done = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out")], env=WIDE)
    assert done.exit_code == 0, done.output
    assert "masks are of one structure each: liver, spleen" in done.output and "D554" in done.output
    assert [label["name"] for label in read_dataset(tmp_path / "out")["labels"]] == ["background", "liver", "spleen"]
    for case, entry in listed(tmp_path / "out").items():
        label = read_volume(Path(str(entry["label"]))).array
        assert set(np.unique(label)) == ({0, 1} if case == "p1" else {0, 1, 2})
    only = tmp_path / "one"
    assert RUN.invoke(app, ["build", str(root), "--output", str(only), "--label-names", "1=liver"]).exit_code == 0
    assert [label["name"] for label in read_dataset(only)["labels"]] == ["background", "liver"]


@pytest.mark.parametrize("ends", [("_1stHO", "_2ndHO"), ("_1", "_2"), ("_seg", "_mask")], ids=["readers", "numbers", "words"])
def test_two_masks_that_name_no_structure_are_not_guessed(ends: tuple[str, str], tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"images/p{number}.nii.gz", noise(SHAPE, number))
        for place, end in enumerate(ends):
            mask = np.zeros(SHAPE, np.uint8)
            mask[1 + 4 * place : 4 + 4 * place, 2:6] = 1
            save(tmp_path / f"labels/p{number}{end}.nii.gz", mask)
    assert {"D403", "D404"} <= {finding.code for finding in check(tmp_path)}


@pytest.mark.parametrize(
    ("images", "label", "channels"),
    [
        (("images/p{}_t1.nii.gz", "images/p{}_flair.nii.gz"), "labels/p{}.nii.gz", ("flair", "t1")),
        (("images/p{}_t1.nii.gz", "images/p{}_flair.nii.gz"), "labels/p{}_seg.nii.gz", ("flair", "t1")),
        (("images/p{}_0000.nii.gz", "images/p{}_0001.nii.gz"), "labels/p{}.nii.gz", ("0000", "0001")),
        (("imagesTr/p{}_0000.nii.gz", "imagesTr/p{}_0001.nii.gz"), "labelsTr/p{}.nii.gz", ("0000", "0001")),
        (("scans/p{}-adc.nii.gz", "scans/p{}-dwi.nii.gz"), "lesion masks/p{}.nii.gz", ("adc", "dwi")),
    ],
)
def test_channels_lie_in_the_folder_of_images(
    images: tuple[str, str], label: str, channels: tuple[str, str], tmp_path: Path
) -> None:
    root = volumes(*images, label, root=tmp_path / "raw")
    done = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out"), "--label-names", "1=organ"], env=WIDE)
    assert done.exit_code == 0 and f"channels: {', '.join(channels)}" in done.output, done.output
    cases = listed(tmp_path / "out")
    assert read_dataset(tmp_path / "out")["channels"] == list(channels) and sorted(cases) == ["p0", "p1", "p2", "p3"]
    for name, entry in cases.items():
        files = [Path(str(file)).name for file in list(entry["image"])]  # type: ignore[call-overload]
        assert files == [image.rpartition("/")[2].format(name[1:]) for image in sorted(images)]
    scans = sort_files(sorted(root.rglob("*.nii.gz")), root, channels).scans
    assert [len(scan.files) for scan in scans] == [2, 2, 2, 2]


def test_channels_of_pictures_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    for number in range(5):
        for place, channel in enumerate(("dapi", "GFP" if number else "gfp")):
            _shown(root / f"images/p{number}_{channel}.png", 10 * number + place)
        if number != 4:
            _draw(root / f"labels/p{number}.png", np.pad(np.ones((6, 6), np.uint8), ((2, 12), (3, 15))))
    _shown(root / "images/other.png", 99)
    source = read_source(root)
    assert source.channels == ("GFP", "dapi") and [case.label is not None for case in source.cases] == 4 * [True] + [False]
    assert "images that are no channel of a case, left out: 1 (other.png)" in source.notes
    assert {finding.code for finding in check(root)} == {"D403"}
    (root / "images/p1_dapi.png").unlink()
    _draw(root / "labels/nobody.png", np.ones((20, 24), np.uint8))
    assert {"D403", "D404", "D551"} == {finding.code for finding in check(root)}


def test_the_masks_of_one_channel_are_no_masks_of_cases(tmp_path: Path) -> None:
    """Each scan has its own mask: these are cases, and no channels."""
    root = volumes("images/p{}_t1.nii.gz", "labels/p{}_t1.nii.gz", root=tmp_path / "raw")
    assert read_source(root).channels == ("image",) and len(read_source(root).cases) == 4
