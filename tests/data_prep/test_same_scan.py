"""The same scan twice is found whatever file holds it."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from prep_samples import cube, noise, save
from typer.testing import CliRunner

from benchmarks.reliability.tiny import prepared
from data_prep.check import check, check_datalist
from data_prep.cli import app

RUN = CliRunner()
AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])
AFFINE[:3, 3] = -10, 5, 7


def two_cases(root: Path, again: Callable[[Path], object]) -> str:
    """Cases a and b of another image, and c which `again` writes into images/; the output of check."""
    for seed, name in enumerate("ab"):
        save(root / f"images/{name}.nii.gz", noise((6, 7, 8), seed), AFFINE)
        save(root / f"labels/{name}.nii.gz", cube((6, 7, 8)), AFFINE)
    save(root / "labels/c.nii.gz", cube((6, 7, 8)), AFFINE)
    again(root / "images")
    result = RUN.invoke(app, ["check", str(root)])
    return f"{result.exit_code}\n{result.output}"


def _plain(folder: Path) -> None:
    (folder / "c.nii").write_bytes(gzip.decompress((folder / "a.nii.gz").read_bytes()))


def _words(folder: Path) -> None:
    image = nib.load(folder / "a.nii.gz")
    image.header["descrip"] = b"exported on Tuesday"
    image.to_filename(folder / "c.nii.gz")


def _float(folder: Path) -> None:
    save(folder / "c.nii.gz", noise((6, 7, 8), 0).astype(np.float64), AFFINE)


def _lps(folder: Path) -> None:
    turned = AFFINE @ np.diag([-1.0, -1, 1, 1])
    turned[:3, 3] = (AFFINE @ [5, 6, 0, 1])[:3]
    save(folder / "c.nii.gz", noise((6, 7, 8), 0)[::-1, ::-1], turned)


def _mha(folder: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(noise((6, 7, 8), 0).T)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((10.0, -5.0, 7.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(folder / "c.mha"))


@pytest.mark.parametrize("again", [_plain, _words, _float, _lps, _mha])
def test_the_same_voxels_at_the_same_place(again: Callable[[Path], object], tmp_path: Path) -> None:
    said = two_cases(tmp_path / "raw", again)
    assert said.startswith("3") and "D405 error" in said and "c." in said and "the same content" in said


def test_the_same_voxels_under_another_header_are_a_warning(tmp_path: Path) -> None:
    def moved(folder: Path) -> None:
        save(folder / "c.nii.gz", noise((6, 7, 8), 0), np.diag([1.0, 1, 1, 1]))
        save(folder.parent / "labels/c.nii.gz", cube((6, 7, 8)), np.diag([1.0, 1, 1, 1]))

    said = two_cases(tmp_path / "raw", moved)
    assert said.startswith("0") and "D413 warning" in said and "under another header" in said and "D405" not in said


def test_one_voxel_makes_another_scan(tmp_path: Path) -> None:
    def other(folder: Path) -> None:
        grey = noise((6, 7, 8), 0)
        grey[3, 3, 3] += 1
        save(folder / "c.nii.gz", grey, AFFINE)

    said = two_cases(tmp_path / "raw", other)
    assert said.startswith("0") and "D405" not in said and "D413" not in said


def test_a_picture_packed_anew_is_the_same(tmp_path: Path) -> None:
    for name, seed, level in (("a", 0, 9), ("b", 1, 9), ("c", 0, 0)):
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(noise((12, 9), seed).astype(np.uint8)).save(tmp_path / f"images/{name}.png", compress_level=level)
        Image.fromarray(cube((12, 9), 255)).save(tmp_path / f"labels/{name}.png")
    assert (tmp_path / "images/a.png").read_bytes() != (tmp_path / "images/c.png").read_bytes()
    said = RUN.invoke(app, ["check", str(tmp_path)])
    assert said.exit_code == 3 and "D405 error" in said.output and "c.png" in said.output


@pytest.mark.parametrize("unlabelled", ["a", "c"])
def test_of_two_alike_the_one_without_a_label_is_the_one_to_remove(unlabelled: str, tmp_path: Path) -> None:
    root = tmp_path / "raw"
    two_cases(root, _plain)
    (root / f"labels/{unlabelled}.nii.gz").unlink()
    for words in (["check", str(root)], ["build", str(root), "--output", str(tmp_path / "out"), "--allow-unlabelled"]):
        said = RUN.invoke(app, words, env={"COLUMNS": "300"}).output
        assert f"Keep one of the two. To leave this one out: mv -n {next((root / 'images').glob(f'{unlabelled}.nii*'))}" in said


CASES = {
    "a folder each": ("{}/ct", "{}/segmentations/liver", "{}/segmentations/spleen"),
    "structures beside": ("{}/ct", "{}/liver_seg", "{}/spleen_seg"),
    "channels in a folder": ("{0}/{0}_flair", "{0}/{0}_t1", "{0}/{0}_seg"),
    "beside": ("{}", "{}_seg"),
    "two folders": ("images/{}", "labels/{}"),
    "channels": ("images/{}_0000", "images/{}_0001", "labels/{}"),
    "structures by name": ("images/{}", "labels/{}_liver", "labels/{}_spleen"),
    "structures of a case": ("images/{}", "labels/{}/liver", "labels/{}/spleen"),
}


@pytest.mark.parametrize("files", CASES.values(), ids=CASES)
def test_after_what_is_said_to_type_nothing_of_the_case_is_left(
    files: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "away/here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "away/here")  # the command moves to the folder above
    root = tmp_path / "my raw"
    for case, seed in (("p1", 0), ("p2", 1), ("p3", 0), ("p4", 0)):
        for at, name in enumerate(files):
            (file := root / f"{name.format(case)}.nii.gz").parent.mkdir(parents=True, exist_ok=True)
            mask = "seg" in name or name.startswith("labels")
            save(file, abs(("spleen" in name) - cube((6, 7, 8))) if mask else noise((6, 7, 8), 10 * at + seed), AFFINE)
    said = check(root)
    assert {one.code for one in said if one.level == "error"} == {"D405"}, said
    for line in dict.fromkeys(one.remedy.split("leave this one out: ")[1] for one in said if one.code == "D405"):
        subprocess.run(["sh", "-c", line], check=True)
    left = check(root)
    assert not [one for one in left if one.level == "error" or one.code in ("D404", "D551")], left
    assert len(list((tmp_path / "away").rglob("*.nii.gz"))) == 2 * len(files)


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_a_list_names_twice_is_not_to_be_removed(link: bool, tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    content = json.loads((folder / "datalist.json").read_text())
    image = (folder / content["training"][0]["image"]).resolve()
    again = image.with_name("again.nii.gz") if link else image
    if link:
        again.symlink_to(image)
    content["training"].append({**content["training"][0], "image": str(again), "case_id": "again", "patient": "again"})
    (folder / "datalist.json").write_text(json.dumps(content))
    said = next(finding for finding in check_datalist(folder / "datalist.json") if finding.code == "D405")
    assert said.remedy.startswith("Both are one file: keep it") and "rm " not in said.remedy
