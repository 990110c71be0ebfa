"""Which files of a folder are scans: masks are set aside, channels are joined, nothing is lost without a word."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from data_prep.scans import BESIDE, FOLDER, MADE_HERE, NAMED, OWN, scan_of_file, sort_files
from monai_hybrid.inferers.native_grid import write_mask

ONE, TWO = ("image",), ("T1", "T2")


def files(root: Path, *names: str) -> list[Path]:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if ".nii" in name.lower():
            nib.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.eye(4)).to_filename(path)
        else:
            path.write_bytes(b"picture")
    return [root / name for name in names]


def own(path: Path, kind: type = nib.Nifti1Image) -> Path:
    image = kind(np.zeros((2, 3, 4), np.uint8), np.eye(4))
    image.header["descrip"] = b"segmentation " + MADE_HERE
    path.parent.mkdir(parents=True, exist_ok=True)
    image.to_filename(path)
    return path


def test_masks_are_set_aside_and_the_reason_is_told(tmp_path: Path) -> None:
    given = files(
        tmp_path, "x.nii.gz", "x_label.nii.gz", "labels/x.nii.gz", "labelsTr/y.nii.gz", "z_mask.nii.gz", "mask_x.nii.gz"
    )
    given += [own(tmp_path / "done.nii.gz"), own(tmp_path / "plain.nii"), own(tmp_path / "two.nii.gz", nib.Nifti2Image)]
    found = sort_files(given, tmp_path, ONE)
    assert [scan.files for scan in found.scans] == [(tmp_path / "x.nii.gz",)]
    assert {why: [path.name for path in paths] for why, paths in found.left_out.items()} == {
        BESIDE: ["x_label.nii.gz", "mask_x.nii.gz"],
        FOLDER: ["x.nii.gz", "y.nii.gz"],
        NAMED: ["z_mask.nii.gz"],
        OWN: ["done.nii.gz", "plain.nii", "two.nii.gz"],
    }
    assert found.said().startswith(
        "left out: 2 masks beside their image (x_label.nii.gz, mask_x.nii.gz); 2 in folders of labels"
    )
    assert found.said().endswith("To take such a file for a scan, give the file itself")


def test_a_table_of_results_names_pictures_that_were_written(tmp_path: Path) -> None:
    given = files(tmp_path, "x.png", "x_result.png")
    assert len(sort_files(given, tmp_path).scans) == 2
    (tmp_path / "quality.csv").write_text("case_id,status,mask\nx,done,x_result.png\n")
    assert [scan.files[0].name for scan in sort_files(given, tmp_path).scans] == ["x.png"]


@pytest.mark.parametrize("name", ["unmasked_1", "segovia_1", "labelled", "P1_masked", "gtx", "maskell-02", "seg1", "roi_3"])
def test_names_that_only_sound_alike_are_scans(name: str, tmp_path: Path) -> None:
    assert len(sort_files(files(tmp_path, f"{name}.nii.gz"), tmp_path).scans) == 1


def test_channels_of_a_case_are_one_scan_in_their_order(tmp_path: Path) -> None:
    given = files(tmp_path, "a_0001.nii.gz", "a_0000.nii.gz", "s/a_0000.nii.gz", "s/a_0001.nii.gz", "c.nii.gz")
    found = sort_files(given, tmp_path, TWO).scans
    assert [[path.name for path in scan.files] for scan in found] == [["a_0000.nii.gz", "a_0001.nii.gz"]] * 2 + [["c.nii.gz"]]
    assert [scan.name.relative_to(tmp_path).as_posix() for scan in found] == ["a.nii.gz", "s/a.nii.gz", "c.nii.gz"]
    assert not any(scan.missing for scan in found)


def test_a_missing_channel_is_named(tmp_path: Path) -> None:
    scan = sort_files(files(tmp_path, "a_0000.nii.gz"), tmp_path, TWO).scans[0]
    assert scan.missing.endswith("the model takes 2 channels, and these are missing: T2 (a_0001.nii.gz)")
    scan = sort_files(files(tmp_path / "s", "a_0001.png", "a_0002.png"), tmp_path, ("r", "g", "b")).scans[0]
    assert "missing: r (a_0000.png)" in scan.missing and len(scan.files) == 2


def test_numbers_that_are_no_channels_stay(tmp_path: Path) -> None:
    numbered = [f"img_{index:04d}.nii.gz" for index in range(4)]
    found = sort_files(files(tmp_path, *numbered), tmp_path, ONE).scans
    assert [scan.name.name for scan in found] == numbered
    only = sort_files(files(tmp_path / "one", "a_0000.nii.gz", "b_0000.nii.gz"), tmp_path / "one", ONE).scans
    assert [scan.name.name for scan in only] == ["a.nii.gz", "b.nii.gz"]
    found = sort_files(files(tmp_path / "more", *numbered), tmp_path / "more", TWO).scans
    assert len(found) == 1 and len(found[0].files) == 4  # one line for the user, not four failures that name no reason
    assert "img: 4 files numbered 0000 to 0003; the model takes 2 channels, 0000 to 0001" in found[0].missing


def test_files_that_hold_all_channels_are_not_joined(tmp_path: Path) -> None:
    for index in (0, 1):
        nib.Nifti1Image(np.zeros((2, 3, 4, 2), np.uint8), np.eye(4)).to_filename(tmp_path / f"a_000{index}.nii.gz")
    assert len(sort_files(sorted(tmp_path.iterdir()), tmp_path, TWO).scans) == 2


def test_one_channel_given_by_name_brings_the_others(tmp_path: Path) -> None:
    first, second = files(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz")
    assert scan_of_file(second, TWO).files == (first, second)
    assert scan_of_file(second, ONE).files == (second,)
    mask = own(tmp_path / "a_seg.nii.gz")
    assert scan_of_file(mask, ONE).files == (mask,)  # who names it wants it


def test_colour_pictures_are_whole_whatever_their_number(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / f"img_000{index}.png")
    found = sort_files(sorted(tmp_path.iterdir()), tmp_path, ("red", "green", "blue")).scans
    assert [[path.name for path in scan.files] for scan in found] == [[f"img_000{index}.png"] for index in range(3)]
    first = sort_files([tmp_path / "img_0000.png"], tmp_path, ("red", "green", "blue")).scans[0]
    assert (first.name.name, first.missing) == ("img.png", "")  # nnU-Net's one file of three channel names


def test_masks_made_by_others_beside_pictures_are_set_aside(tmp_path: Path) -> None:
    given = files(tmp_path, "01_test.png", "01_manual1.png", "1st_manual/01.png", "predictions/q.png", "u.png", "u_pred.png")
    assert [scan.files[0].name for scan in sort_files(given, tmp_path).scans] == ["01_test.png", "u.png"]
    grey = Image.fromarray(np.arange(900, dtype=np.uint16).reshape(30, 30).astype(np.uint8))
    grey.save(tmp_path / "w.tif")
    grey.save(tmp_path / "v.jpg")
    grey.save(tmp_path / "v.bmp")
    Image.fromarray(np.eye(30, dtype=np.uint8) * 255).save(tmp_path / "w.png")
    given = [tmp_path / name for name in ("w.tif", "w.png", "v.jpg", "v.bmp")]
    assert [scan.files[0].name for scan in sort_files(given, tmp_path).scans] == ["w.tif", "v.jpg", "v.bmp"]


def test_a_picture_that_prediction_wrote_says_so(tmp_path: Path) -> None:
    Image.fromarray(np.eye(30, dtype=np.uint8)).save(tmp_path / "x.png")
    written = write_mask(np.ones((30, 30), np.uint8), tmp_path / "x.png", tmp_path / "x_mine", np.eye(4))
    found = sort_files([tmp_path / "x.png", written], tmp_path)
    assert [scan.files[0].name for scan in found.scans] == ["x.png"] and found.left_out == {OWN: [written]}
