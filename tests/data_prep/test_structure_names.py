"""Which mask is of which structure, in folders a case: no two meanings, and none lost without a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from prep_samples import noise, save

from data_prep import written_labels
from data_prep.build import build
from data_prep.check import check
from data_prep.errors import ConfigError, DataError
from data_prep.files import read_datalist, read_dataset
from data_prep.label_affixes import says_mask
from data_prep.layouts import detect, read_source

SHAPE = (10, 9, 8)
ORGANS = {"liver": slice(0, 3), "spleen": slice(5, 8)}


def box(where: slice, value: int = 1) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[where, 2:7, 2:6] = value
    return mask


def organs(root: Path, name: str = "masks/{}.nii.gz", cases: int = 3) -> Path:
    """An image and the masks of two organs in each folder, which are called as `name` says."""
    for index in range(cases):
        save(root / f"p{index}/ct.nii.gz", noise(SHAPE, index))
        for organ, where in ORGANS.items():
            save(root / f"p{index}" / name.format(organ), box(where))
    return root


def named(folder: Path) -> dict[int, str]:
    return {label["value"]: label["name"] for label in read_dataset(folder)["labels"] if label["value"]}


def refused(root: Path, words: str) -> None:
    """`check` has one error, D550, and `build` writes nothing."""
    (found,) = check(root)
    assert found.code == "D550" and words in found.message
    with pytest.raises(DataError):
        build(root, root.parent / "refused")
    assert not (root.parent / "refused").exists()


@pytest.mark.parametrize("name", ["{}_seg.nii.gz", "masks/{}_mask.nii.gz"])
def test_a_case_with_one_mask_of_several_keeps_its_structure(tmp_path: Path, name: str) -> None:
    """The only mask of a case was taken for its whole label: its 1 was the spleen, that of the others the liver."""
    root = organs(tmp_path / "raw", name)
    (root / "p2" / name.format("liver")).unlink()
    build(root, tmp_path / "out")
    last = read_datalist(tmp_path / "out")["training"][-1]
    assert named(tmp_path / "out") == {1: "liver", 2: "spleen"}
    assert np.unique(np.asarray(nib.load(last["label"]).dataobj)).tolist() == [0, 2]
    assert [finding.code for finding in check(root)] == ["D554"]


def test_a_whole_label_among_masks_of_structures_is_refused(tmp_path: Path) -> None:
    root = organs(tmp_path / "raw")
    for organ in ORGANS:
        (root / f"p2/masks/{organ}.nii.gz").unlink()
    save(root / "p2/seg.nii.gz", box(slice(0, 3)) + box(slice(4, 6), 2))
    refused(root, "other cases have a mask for each structure (liver, spleen); p2 has seg.nii.gz, which is none of these")


def test_single_masks_stay_whole_labels(tmp_path: Path) -> None:
    """Twin of the two before: of one mask a case, its values are the classes."""
    for index in range(3):
        save(tmp_path / f"raw/p{index}/ct.nii.gz", noise(SHAPE, index))
        save(tmp_path / f"raw/p{index}/{'masks/' if index else ''}seg.nii.gz", box(slice(0, 3)) + box(slice(4, 6), 2))
    build(tmp_path / "raw", tmp_path / "out")
    assert named(tmp_path / "out") == {1: "label_1", 2: "label_2"} and not (tmp_path / "out/labels").exists()


@pytest.mark.parametrize("other", ["liver_mask.nii.gz", "Liver.nii.gz", "liver.nii"])
def test_two_masks_of_one_name_are_refused(tmp_path: Path, other: str) -> None:
    root = organs(tmp_path / "raw")
    save(root / "p1/masks" / other, box(slice(3, 5)))
    refused(root, "are both masks of ")


def test_names_that_differ_by_case_alone_are_one_structure(tmp_path: Path) -> None:
    root = organs(tmp_path / "raw")
    (root / "p0/masks/liver.nii.gz").rename(root / "p0/masks/Liver.nii.gz")
    assert check(root) == []
    build(root, tmp_path / "out")
    assert named(tmp_path / "out") == {1: "liver", 2: "spleen"}


def test_a_mask_of_the_background_is_no_structure(tmp_path: Path) -> None:
    root = organs(tmp_path / "raw")
    for folder in root.iterdir():
        save(folder / "masks/Background.nii.gz", box(slice(8, 9)))
    build(root, tmp_path / "out")
    assert named(tmp_path / "out") == {1: "liver", 2: "spleen"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("0=liver,1=spleen", "the value 0 is the background"),
        ("70000=liver", "the value 70000 of 'liver'; a label holds at most 65535"),
    ],
)
def test_values_that_no_structure_can_have(tmp_path: Path, names: str, words: str) -> None:
    root = organs(tmp_path / "raw")
    with pytest.raises(ConfigError, match=words):
        check(root, label_names=names)
    build(root, tmp_path / "out", label_names="0=background,65535=liver")
    assert named(tmp_path / "out") == {65535: "liver"}


def test_more_structures_than_a_label_holds_must_be_chosen_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = organs(tmp_path / "raw")
    monkeypatch.setattr("data_prep.structure_names.MOST", 1)
    with pytest.raises(
        ConfigError, match=r"masks of 2 structures; expected at most 1\. Take some: --label-names 1=liver,2=spleen"
    ):
        check(root)
    assert check(root, label_names="1=liver") == []


@pytest.mark.parametrize("nested", [True, False])
def test_names_beside_the_folders_say_the_values(tmp_path: Path, nested: bool) -> None:
    root = organs(tmp_path / "raw")
    if not nested:
        _sorted_into_two_folders(root)
    (root / "labels.json").write_text(json.dumps({"4": "spleen", "2": "liver"}))
    build(root, tmp_path / "out")
    assert named(tmp_path / "out") == {2: "liver", 4: "spleen"}
    (root / "labels.json").write_text(json.dumps({"4": "lung"}))
    with pytest.raises(ConfigError, match=r"labels.json: no mask is called 'lung'; there are liver, spleen"):
        build(root, tmp_path / "other")


def _sorted_into_two_folders(root: Path) -> None:
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        (root / "images").mkdir(exist_ok=True)
        (root / "labels").mkdir(exist_ok=True)
        (folder / "ct.nii.gz").rename(root / f"images/{folder.name}.nii.gz")
        (folder / "masks").rename(root / f"labels/{folder.name}")
        folder.rmdir()


@pytest.mark.parametrize("name", ["{case}.nii.gz", "mask.nii.gz"])
def test_a_folder_of_one_mask_for_each_image_holds_its_whole_label(tmp_path: Path, name: str) -> None:
    for index in range(3):
        save(tmp_path / f"raw/images/p{index}.nii.gz", noise(SHAPE, index))
        mask = box(slice(0, 3)) + box(slice(4, 6), 2)
        save(tmp_path / f"raw/labels/p{index}" / name.format(case=f"p{index}"), mask)
    assert detect(tmp_path / "raw") == "folders"
    build(tmp_path / "raw", tmp_path / "out")
    assert named(tmp_path / "out") == {1: "label_1", 2: "label_2"}


def test_masks_called_like_case_and_structure_beside_a_folder_of_images(tmp_path: Path) -> None:
    root = organs(tmp_path / "raw")
    _sorted_into_two_folders(root)
    for folder in (root / "labels").iterdir():
        for mask in list(folder.iterdir()):
            mask.rename(folder / f"{folder.name}_{mask.name}")
    build(root, tmp_path / "out")
    assert named(tmp_path / "out") == {1: "liver", 2: "spleen"}


def test_a_case_without_any_structure_that_is_asked_for_is_empty(tmp_path: Path) -> None:
    root = organs(tmp_path / "raw")
    (root / "p0/masks/liver.nii.gz").unlink()
    assert {one.code for one in check(root, label_names="1=liver")} == {"D305", "D554"}
    build(root, tmp_path / "out", label_names="1=liver", accept="D305")
    assert not np.asarray(nib.load(tmp_path / "out/labels/p0.nii.gz").dataobj).any()


def test_masks_beside_an_image_that_has_others_in_a_folder_are_told(tmp_path: Path) -> None:
    root = organs(tmp_path / "raw")
    save(root / "p1/combined_labels.nii.gz", box(slice(0, 3)))
    assert any("has others in masks/, left out: 1 (combined_labels.nii.gz)" in note for note in read_source(root).notes)


def test_a_mask_of_several_values_a_voxel_is_told_so(tmp_path: Path) -> None:
    root = organs(tmp_path / "raw")
    save(root / "p1/masks/liver.nii.gz", np.zeros((*SHAPE, 2), np.uint8))
    (found,) = check(root)
    assert found.code == "D553" and "liver.nii.gz has 2 values in each voxel; expected one" in found.message


def test_a_damaged_mask_is_told_by_its_file(tmp_path: Path) -> None:
    root = organs(tmp_path / "raw")
    (root / "p1/masks/liver.nii.gz").write_bytes(b"")
    (found,) = check(root)
    assert found.code == "D002" and found.file == str(root / "p1/masks/liver.nii.gz")


def test_folders_among_labels_that_are_files_are_left_alone(tmp_path: Path) -> None:
    """As before structures had folders: an older copy of a label in one is none."""
    save(tmp_path / "raw/images/p0.nii.gz", noise(SHAPE))
    save(tmp_path / "raw/labels/p0.nii.gz", box(slice(1, 3)))
    save(tmp_path / "raw/labels/old/p0.nii.gz", box(slice(1, 3)))
    source = read_source(tmp_path / "raw")
    assert source.cases[0].label == tmp_path / "raw/labels/p0.nii.gz" and not source.orphans and not source.volumes


def test_a_stopped_build_leaves_no_list_of_labels_that_have_other_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = organs(tmp_path / "raw"), tmp_path / "out"
    build(root, out)
    build(root, out)  # labels that stay as they are keep their list
    assert (out / "datalist.json").exists()
    write, written = written_labels.write_atomically, []

    def stop(*given: Any) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(given)
        write(*given)

    monkeypatch.setattr(written_labels, "write_atomically", stop)
    with pytest.raises(KeyboardInterrupt):
        build(root, out, label_names="2=liver,1=spleen")
    assert not (out / "datalist.json").exists()
    monkeypatch.undo()
    build(root, out, label_names="2=liver,1=spleen")
    assert named(out) == {1: "spleen", 2: "liver"}


def test_labels_of_the_users_own_are_not_replaced(tmp_path: Path) -> None:
    """A prepared data set may lie in the folder of the files that it was made from."""
    save(tmp_path / "own/images/p0.nii.gz", noise(SHAPE))
    mine = save(tmp_path / "own/labels/p0.nii.gz", box(slice(1, 3)))
    build(tmp_path / "own", tmp_path / "own")
    before = mine.read_bytes()
    with pytest.raises(ConfigError, match="was not written by monai-hybrid, and is kept"):
        build(organs(tmp_path / "raw"), tmp_path / "own")
    assert mine.read_bytes() == before and len(list(mine.parent.iterdir())) == 1


@pytest.mark.parametrize(("name", "mask"), [("x_mask_1", True), ("x_seg2", True), ("x_t2", False), ("gtv_1", False)])
def test_numbered_masks_are_called_masks(name: str, mask: bool) -> None:
    assert says_mask(name) is mask
