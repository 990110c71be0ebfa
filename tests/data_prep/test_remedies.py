"""What checks say to type writes copies of the whole folder, and leaves the user's files as they are."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from data_prep.checks.geometry import too_many_axes
from data_prep.checks.pairing import image_and_label_swapped
from data_prep.checks.registry import REGISTRY, Remark, moved_out
from data_prep.checks.subjects import PairSubject
from data_prep.cli import app
from data_prep.volume import Volume


def typed(code: str, file: Path, cwd: Path) -> None:
    """Type the command of a check."""
    done = run(REGISTRY[code].remedy, file, cwd)
    assert done.returncode == 0, done.stderr


def run(remedy: str, file: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command of a remedy, typed."""
    line = "mkdir NEW" + remedy.split("mkdir NEW")[1].split(" && monai-hybrid")[0].replace("{file}", shlex.quote(str(file)))
    line = line.replace("{python}", shlex.quote(sys.executable))
    return subprocess.run(["sh", "-c", line], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", sorted(REGISTRY))
def test_a_command_of_a_remedy_is_for_every_shell(code: str) -> None:
    """Interactive bash and zsh take `!` in double quotes for their history, and $'...' is not of every shell."""
    remedy = REGISTRY[code].remedy
    assert "!" not in remedy and "$'" not in remedy and "`" not in remedy
    assert not re.search(r"(?<!\{)python -[cm]", remedy), "the Python that runs is {python}; a command is one of monai-hybrid"


def test_colours_of_masks_become_the_classes_that_the_user_names(tmp_path: Path) -> None:
    folder = tmp_path / "in put"
    folder.mkdir()
    classes = np.random.default_rng(0).integers(0, 3, (7, 9))
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)[classes]
    Image.fromarray(colours).save(folder / "a.png")
    opaque = np.full((7, 9, 1), 255, np.uint8)
    Image.fromarray(np.concatenate([colours, opaque], axis=-1)).save(folder / "b.tiff")
    (folder / ".hidden.png").write_bytes(b"no picture")
    typed("D027", folder / "a.png", tmp_path)
    for copy in ("a.png", "b.png"):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "NEW" / copy)), classes)
    assert REGISTRY["D027"].remedy.endswith('check FOLDER --labels-dir "$PWD/NEW"; or leave it out: {case}')


def test_masks_in_colours_are_written_upright(tmp_path: Path) -> None:
    """PNG copies without EXIF of a picture that its EXIF turns; Thumbs.db of Windows lies beside it."""
    (tmp_path / "in").mkdir()
    colours = np.array([[[0, 0, 0], [255, 0, 0], [0, 255, 0]]], np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colours).save(tmp_path / "in/a.png", exif=exif)
    (tmp_path / "in/Thumbs.db").write_bytes(b"no picture")
    typed("D027", tmp_path / "in/a.png", tmp_path)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "NEW/a.png")), [[0], [1], [2]])


def test_a_copy_replaces_no_other(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "a.bmp"):
        Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "in" / name)
    done = run(REGISTRY["D027"].remedy, tmp_path / "in/a.png", tmp_path)
    assert done.returncode and "FileExistsError" in done.stderr


def test_a_colour_that_nobody_named_becomes_no_class(tmp_path: Path) -> None:
    """Edges that a program has smoothed hold colours between the classes."""
    (tmp_path / "in").mkdir()
    Image.fromarray(np.array([[[0, 0, 0], [128, 0, 0]]], np.uint8)).save(tmp_path / "in/a.png")
    done = run(REGISTRY["D027"].remedy, tmp_path / "in/a.png", tmp_path)
    assert done.returncode and "(128, 0, 0) is not in list" in done.stderr and not list((tmp_path / "NEW").iterdir())


@pytest.mark.parametrize("code", ["D308"])
def test_the_command_writes_copies_and_keeps_the_files(tmp_path: Path, code: str) -> None:
    """Two channels, flat with two channels, and a plain volume that passes through."""
    folder = tmp_path / "in put"
    folder.mkdir()
    shapes = {"a.nii.gz": (4, 5, 6, 2), "b.nii": (4, 5, 1, 2), "c.nii.gz": (4, 5, 6)}
    for name, shape in shapes.items():
        values = np.random.default_rng(0).integers(0, 9, shape).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(values, np.diag([0.5, 2, 3, 1])), folder / name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    typed(code, folder / "a.nii.gz", tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    for name, shape in shapes.items():
        source, copy = nibabel.load(folder / name), nibabel.load(tmp_path / "NEW" / name)
        assert copy.shape == shape[:3]
        np.testing.assert_allclose(copy.affine, source.affine)
        values = source.get_fdata()
        wanted = values if values.ndim == 3 else values.argmax(-1)
        np.testing.assert_array_equal(copy.get_fdata(), wanted)


@pytest.mark.parametrize("code", ["D103", "D104", "D105", "D108", "D201"])
def test_headers_and_values_are_corrected_in_copies(tmp_path: Path, code: str) -> None:
    folder = tmp_path / "in put"
    folder.mkdir()
    values = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    values[0, 0, 0] = np.nan
    image = nibabel.Nifti1Image(values, np.diag([0.5, 2, 3, 1]))
    image.set_qform(np.eye(4), 1)  # not the sform
    image.header.set_xyzt_units("micron")
    for name in ("a.nii", "b.nii.gz"):
        nibabel.save(image, folder / name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    typed(code, folder / "a.nii", tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    for name in before:
        copy = nibabel.load(tmp_path / "NEW" / name)
        np.testing.assert_allclose(copy.affine, image.affine)
        np.testing.assert_array_equal(copy.get_fdata()[1:], values[1:].astype(np.float64))
        if code == "D108":
            assert copy.header.get_xyzt_units()[0] == "mm"
        elif code == "D201":
            assert copy.get_fdata()[0, 0, 0] == 0
        else:
            np.testing.assert_allclose(copy.header.get_qform(), copy.header.get_sform(), atol=1e-6)


def _nan(root: Path) -> None:
    values = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    values[0, 0, 0] = np.nan
    for name, data in (("images", values), ("labels", (values > 0.5).astype(np.uint8))):
        (root / name).mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), root / name / "a [1].nii.gz")


def _beside(root: Path) -> None:
    _nan(root)
    (root / "images/a [1].nii.gz").rename(root / "p1.nii.gz")
    (root / "labels/a [1].nii.gz").rename(root / "p1_seg.nii.gz")
    for name in ("images", "labels"):
        (root / name).rmdir()


def _of_cases(root: Path) -> None:
    _beside(root / "case 1")
    _beside(root / "case 2")


def _colours(root: Path) -> None:
    classes = np.random.default_rng(0).integers(0, 3, (7, 9))
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)[classes]
    for name, data in (("images", classes.astype(np.uint8)), ("labels", colours)):
        (root / name).mkdir(parents=True)
        Image.fromarray(data).save(root / name / "a [1].png")


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
@pytest.mark.parametrize(
    ("code", "broken", "given"),
    [
        ("D201", _nan, ""),
        ("D201", _nan, "images/a [1].nii.gz"),
        ("D201", _nan, "images"),
        ("D201", _beside, ""),
        ("D201", _of_cases, ""),
        ("D027", _colours, ""),
    ],
    ids=["values", "values of one file", "values of images alone", "masks beside", "a folder each", "colours"],
)
def test_the_line_is_pasted_whole_in_every_shell(
    tmp_path: Path, shell: str, code: str, broken: Callable[[Path], None], given: str
) -> None:
    """From the copies to a check of them, in folders with names that a shell would take apart."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    broken(root := tmp_path / "it's $HOME *raw*")
    here, bin_folder = tmp_path / "my place", tmp_path / "bin"
    for folder in (here, bin_folder):
        folder.mkdir()
    command = bin_folder / "monai-hybrid"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m data_prep "$@"\n')
    command.chmod(0o755)
    paths = {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(Path(__file__).parents[2])}
    said = CliRunner().invoke(app, ["check", str(root / given) if given else str(root)]).output
    line = re.search(r"mkdir NEW && .*?/NEW\"(?:/(?:'[^']*'|\S)*)?", said)
    assert code in said and line and "FOLDER" not in said, said
    done = subprocess.run(
        [shell, "-c", line[0]], cwd=here, env={**os.environ, **paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "good: 0 errors" in done.stdout and code not in done.stdout, done


def test_two_lines_that_move_files_of_one_name_away_lose_neither(tmp_path: Path) -> None:
    """The second file stays where it is, and is told of again."""
    for folder in ("p1", "p2"):
        (tmp_path / "raw" / folder).mkdir(parents=True)
        (tmp_path / "raw" / folder / "a.nii.gz").write_text(folder)
    for folder in ("p1", "p2"):
        line = moved_out([f"{folder}/a.nii.gz"])
        subprocess.run(["sh", "-c", line], cwd=tmp_path / "raw", check=False)
    assert (tmp_path / "a.nii.gz").read_text() == "p1" and (tmp_path / "raw/p2/a.nii.gz").read_text() == "p2"


@pytest.mark.parametrize("names", [("a.nii.gz", "a.nii.gz"), ("it's a.png", "a.png"), ("a.nii.gz", "a.nii")])
def test_an_image_and_its_label_are_exchanged_by_one_line(names: tuple[str, str], tmp_path: Path) -> None:
    """Pasted, it gives each file the other's place; files of two endings would then have wrong names."""
    arrays = [array.reshape(10, 10, 10) for array in (np.arange(1000) % 2, np.arange(1000))]
    image, label = (tmp_path / part / name for part, name in zip(("images", "labels"), names, strict=True))
    for path in (image, label):
        path.parent.mkdir()
        path.write_text(path.parent.name)
    volumes = [Volume(path, array, np.eye(4), "uint8", "") for path, array in zip((image, label), arrays, strict=True)]
    said = image_and_label_swapped(PairSubject(*volumes, counts=dict.fromkeys(map(float, range(1000)), 1)))
    assert said is not None and "expected it the other way round" in said.message
    if label.suffix == ".nii":
        assert said.words == {"exchange": ""}
        return
    done = subprocess.run(["sh", "-c", said.words["exchange"].removeprefix(": ")], check=False)
    assert done.returncode == 0 and image.read_text() == "labels" and label.read_text() == "images"
    assert [len(list(path.parent.iterdir())) for path in (image, label)] == [1, 1]


def test_what_was_not_measured_in_ct_becomes_air(tmp_path: Path) -> None:
    """0 is water there: a bath around the patient."""
    (tmp_path / "in").mkdir()
    values = np.full((3, 3, 3), -1000.0, np.float32)
    values[0], values[1] = np.nan, 40
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "in/a.nii.gz")
    typed("D201", tmp_path / "in/a.nii.gz", tmp_path)
    assert np.unique(nibabel.load(tmp_path / "NEW/a.nii.gz").get_fdata()).tolist() == [-1000, 40]


def test_no_check_tells_to_write_over_a_file() -> None:
    assert not [
        code for code, check in REGISTRY.items() if "to_filename(p)" in check.remedy or "nib.save(i, p)" in check.remedy
    ]


@pytest.mark.parametrize(("found", "wanted"), [(1, 2), (3, 1), (2, 2), (1, 1)])
def test_a_copy_of_the_first_volume_is_proposed_where_one_channel_is_expected(found: int, wanted: int) -> None:
    subject: Any = SimpleNamespace(volume=SimpleNamespace(array=np.zeros((4, 5, 6, found)), channels=found), channels=wanted)
    said = too_many_axes(subject)
    if found == wanted:
        assert said is None
    elif wanted == 1:
        assert said == "shape (4, 5, 6, 3); expected (X, Y) or (X, Y, Z)"
    else:
        assert isinstance(said, Remark) and "expected (X, Y, Z, 2)" in said.message
        assert said.remedy.startswith("Give each channel a file of its own") and "mkdir" not in said.remedy
