"""One defect, one code; and the sound twin is accepted."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from prep_samples import RAS, cube, noise, save, write_json
from typer.testing import CliRunner

from benchmarks.reliability.tiny import edit_bytes, edit_header
from data_prep.build import build
from data_prep.check import check
from data_prep.checks import REGISTRY
from data_prep.cli import app
from data_prep.errors import ConfigError, DataError

SHAPE = (6, 7, 8)


def codes(root: Path, **options: object) -> set[str]:
    """The codes that `check` finds."""
    return {finding.code for finding in check(root, **options)}


def _image(root: Path) -> Path:
    return root / "images" / "a.nii.gz"


def _label(root: Path) -> Path:
    return root / "labels" / "a.nii.gz"


def _both(root: Path, affine: np.ndarray) -> None:
    save(_image(root), noise(SHAPE), affine)
    save(_label(root), cube(SHAPE), affine)


def _odd_qform(root: Path, affine: np.ndarray) -> None:
    image = nib.Nifti1Image(noise(SHAPE), RAS)
    image.set_sform(RAS, 1)
    image.set_qform(affine, 1)
    image.to_filename(_image(root))


def _nan(root: Path) -> None:
    array = noise(SHAPE).astype(np.float32)
    array[0, 0, :2] = np.nan, np.inf
    save(_image(root), array)


def _label_of(value: float, dtype: str) -> Callable[[Path], object]:
    def break_it(root: Path) -> None:
        array = cube(SHAPE).astype(dtype)
        array[0, 0, 0] = value
        save(_label(root), array)

    return break_it


def _moved(amount: float) -> np.ndarray:
    affine = RAS.copy()
    affine[0, 3] = amount
    return affine


def _sheared(amount: float) -> np.ndarray:
    affine = RAS.copy()
    affine[0, 1] = amount
    return affine


DEFECTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "dangling link": ("D001", lambda r: (_image(r).unlink(), _image(r).symlink_to("gone")), "a link to a file"),
    "folder": ("D001", lambda r: (_image(r).unlink(), _image(r).mkdir()), "folder or a special file"),
    "empty": ("D002", lambda r: _image(r).write_bytes(b""), "0 bytes"),
    "cut in half": ("D003", lambda r: edit_bytes(_image(r), lambda b: b[: len(b) // 2]), "stops after"),
    "cut in header": ("D003", lambda r: edit_bytes(_image(r), lambda b: b[:40]), "NIfTI header has 348"),
    "last byte": ("D003", lambda r: edit_bytes(_image(r), lambda b: b[:-1]), "gzip stream stops"),
    "checksum": ("D004", lambda r: edit_bytes(_image(r), lambda b: b[:-8] + b"\0\0\0\0" + b[-4:]), "gzip"),
    "plain as gz": ("D005", lambda r: edit_bytes(_image(r), gzip.decompress), "says gzip"),
    "text": ("D006", lambda r: _image(r).write_bytes(gzip.compress(b"hello " * 100)), "NIfTI header"),
    "huge": ("D007", lambda r: edit_header(_image(r), dim=[3, 30000, 30000, 30000, 1, 1, 1, 1]), "GiB"),
    "header asks too much": ("D003", lambda r: edit_header(_image(r), dim=[3, 900, 900, 90, 1, 1, 1, 1]), "too short"),
    "complex": ("D009", lambda r: save(_image(r), noise(SHAPE).astype(np.complex64)), "complex"),
    "zero voxel size": (
        "D101",
        lambda r: edit_header(_image(r), pixdim=[1, 1, 0, 1, 0, 0, 0, 0], sform_code=0),
        r"voxel size \(1\.0, 0\.0, 1\.0\)",
    ),
    "singular": ("D102", lambda r: edit_header(_image(r), srow_x=[0, 0, 0, 0]), "cannot be inverted"),
    "NaN affine": ("D102", lambda r: edit_header(_image(r), srow_x=[np.nan, 0, 0, 0]), "cannot be inverted"),
    "no form": ("D103", lambda r: edit_header(_image(r), sform_code=0, qform_code=0), "guess"),
    "forms flip": ("D104", lambda r: _odd_qform(r, np.diag([-1.0, 1, 1, 1])), "sform says RAS .* qform LAS"),
    "forms scale": ("D104", lambda r: _odd_qform(r, np.diag([1.5, 1, 1, 1])), "1.5"),
    "forms shift": ("D105", lambda r: _odd_qform(r, _moved(3)), r"3\.00 mm apart; tolerance 0\.10 mm"),
    "shear": ("D106", lambda r: _both(r, _sheared(0.2)), r"11\.3 degrees"),
    "400 mm": ("D107", lambda r: _both(r, np.diag([400.0, 1, 1, 1])), "expected 0.02 to 100 mm"),
    "micrometres": ("D108", lambda r: edit_header(_image(r), xyzt_units=3), "micron"),
    "4D": ("D109", lambda r: save(_image(r), noise((*SHAPE, 3))), r"\(6, 7, 8, 3\); expected \(X, Y\) or"),
    "5D of one": ("D111", lambda r: save(_image(r), noise((*SHAPE, 1, 1))), "at most four axes"),
    "one slice": ("D110", lambda r: (save(_image(r), noise((6, 7, 1))), save(_label(r), cube(SHAPE)[:, :, 2:3])), "one"),
    "NaN and Inf": ("D201", _nan, "2 of 336 voxels are not finite"),
    "constant": ("D202", lambda r: save(_image(r), np.full(SHAPE, 7, np.int16)), "all 336 voxels of channel 0 are 7"),
    "3e38": ("D203", lambda r: save(_image(r), np.where(cube(SHAPE) > 0, 3e38, 1).astype(np.float32)), "3e"),
    "NaN label": ("D301", _label_of(np.nan, "f4"), "1 voxels are not finite"),
    "half label": ("D302", _label_of(0.5, "f4"), "1 voxels hold values that are not whole numbers: 0.5"),
    "negative label": ("D303", _label_of(-1, "i2"), "negative values -1"),
    "empty label": ("D305", lambda r: save(_label(r), np.zeros(SHAPE, np.uint8)), "background"),
    "swapped": ("D306", lambda r: save(_label(r), noise(SHAPE)), "a label has at most 256"),
    "float label": ("D307", _label_of(1, "f4"), "float32"),
    "one-hot label": ("D308", lambda r: save(_label(r), np.stack([cube(SHAPE)] * 2, -1)), r"\(6, 7, 8, 2\)"),
    "shape": ("D401", lambda r: save(_label(r), cube((6, 7, 9))), r"\(6, 7, 9\); a\.nii\.gz has \(6, 7, 8\)"),
    "beyond tolerance": ("D402", lambda r: save(_label(r), cube(SHAPE), _moved(0.11)), "0.11 mm away"),
    "no label": ("D403", lambda r: _label(r).unlink(), "no label of the same name"),
    "no image": ("D404", lambda r: _image(r).unlink(), "no image of the same name"),
    "same twice": ("D405", lambda r: _image(r).write_bytes((r / "images/b.nii.gz").read_bytes()), "same content as"),
    "ids alike": (
        "D406",
        lambda r: (save(r / "images/A.nii.gz", noise(SHAPE, 9)), save(r / "labels/A.nii.gz", cube(SHAPE))),
        "'A' and 'a'",
    ),
    "2D among 3D": (
        "D408",
        lambda r: (save(_image(r), noise((6, 7))), save(_label(r), cube((6, 7)))),
        "2D; most images are 3D",
    ),
}

SOUND: dict[str, Callable[[Path], object]] = {
    "as made": lambda r: None,
    "within tolerance": lambda r: save(_label(r), cube(SHAPE), _moved(0.09)),
    "left-handed": lambda r: _both(r, np.diag([-1.0, 1, 1, 1])),
    "big-endian": lambda r: save(_image(r), noise(SHAPE).astype(">i2")),
    "int64 label": lambda r: nib.Nifti1Image(cube(SHAPE).astype("i8"), RAS, dtype="i8").to_filename(_label(r)),
    "4D of one": lambda r: save(_image(r), noise((*SHAPE, 1))),
    "value 255": lambda r: [save(path, cube(SHAPE, 255)) for path in _label(r).parent.iterdir()],
    "slightly oblique": lambda r: _both(r, _sheared(0.005)),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_is_found(nifti_set, name):
    code, break_it, message = DEFECTS[name]
    root = nifti_set()
    break_it(root)
    found = [finding for finding in check(root) if finding.code == code]
    assert found, f"{code} not among {check(root)}"
    assert any(re.search(message, finding.message) for finding in found), found
    assert all(finding.level == REGISTRY[code].level and finding.remedy for finding in found)
    assert "a.nii.gz" in str(found[0]) or found[0].case in ("a", "b", "A")


@pytest.mark.parametrize("name", SOUND)
def test_sound_twin_is_accepted(nifti_set, name):
    root = nifti_set()
    SOUND[name](root)
    assert [finding for finding in check(root) if finding.level != "note"] == []


def test_warnings_do_not_stop_a_build(nifti_set):
    root = nifti_set()
    label = cube(SHAPE)
    label[5, 6, 7] = 2
    save(_label(root), label)
    assert codes(root) == {"D312"}
    assert [finding.code for finding in build(root, root).findings] == ["D312"]


def test_a_judgement_can_be_overruled_and_the_data_set_remembers(nifti_set, tmp_path):
    root = nifti_set()
    save(_label(root), np.zeros(SHAPE, np.uint8))
    with pytest.raises(DataError, match=r"D305 error: .*a\.nii\.gz: all 336 voxels are 0 .*add --accept D305"):
        build(root, tmp_path / "out")
    assert [(finding.code, finding.level) for finding in check(root, accept="D305")] == [("D305", "warning")]
    build(root, tmp_path / "out", accept="d305")
    assert [(finding.code, finding.level) for finding in check(tmp_path / "out")] == [("D305", "warning")]


@pytest.mark.parametrize(("code", "reason"), [("D201", "cannot be accepted"), ("D999", "there is no such code")])
def test_facts_cannot_be_overruled(nifti_set, tmp_path, code, reason):
    with pytest.raises(ConfigError, match=f"--accept {code}: {reason}; expected one of D025, D103, "):
        check(nifti_set(), accept=code)
    with pytest.raises(ConfigError, match=reason):
        build(tmp_path / "raw", tmp_path / "out", accept=code)


def test_declared_labels(nifti_set):
    root = nifti_set(values=(1, 2))
    assert codes(root, label_names="1=a") == {"D304"}
    assert codes(root, label_names="1=a,2=b") == set()
    assert codes(root, label_names="1=a,2=b,3=c") == {"D309"}


def test_no_foreground_at_all(nifti_set):
    root = nifti_set(values=(0,))
    assert codes(root) == {"D305"}
    assert codes(root, accept="D305") == {"D305", "D310"}


def test_more_than_the_machine_can_give_is_refused(nifti_set, monkeypatch):
    root = nifti_set()
    monkeypatch.setattr("data_prep.nifti.free_memory", lambda: 900)
    found = [finding for finding in check(root) if finding.code == "D007"]
    assert len(found) == 3 and "(shape [6, 7, 8]); the limit is 0.0 GiB" in found[0].message  # images of 2 bytes a voxel
    monkeypatch.setattr("data_prep.nifti.free_memory", lambda: 2000)
    assert codes(root) == set()


def test_gzip_bomb_is_refused_quickly(nifti_set):
    root = nifti_set()
    raw = gzip.decompress(_image(root).read_bytes())
    _image(root).write_bytes(gzip.compress(raw + bytes(50_000_000)))
    assert "D004" in codes(root)
    _image(root).write_bytes(gzip.compress(raw + bytes(64)))  # padding by some writers
    assert codes(root) == set()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA"])
def test_a_grey_png_in_another_form_is_the_same_picture(png_set, mode):
    root = png_set()
    before = check(root)
    Image.open(root / "images" / "a.png").convert(mode).save(root / "images" / "a.png")
    assert check(root) == before


def test_cut_png(png_set):
    root = png_set()
    edit_bytes(root / "images" / "a.png", lambda b: b[: len(b) // 2])
    assert codes(root) == {"D004"}


def test_datalist_is_checked(nifti_set, tmp_path):
    root = nifti_set()
    build(root, tmp_path / "out")
    assert codes(tmp_path / "out") == codes(tmp_path / "out" / "datalist.json") == set()
    _image(root).write_bytes(b"")
    assert codes(tmp_path / "out") == {"D002"}


def test_datalist_with_a_patient_on_both_sides(nifti_set):
    root = nifti_set()
    build(root, root, test_fraction=0.3)
    content = json.loads((root / "datalist.json").read_text())
    content["testing"][0]["patient"] = content["training"][0]["patient"]
    write_json(root / "datalist.json", content)
    assert codes(root) == {"D407"}


def test_missing_path(tmp_path):
    with pytest.raises(DataError, match="there is no such file or folder"):
        check(tmp_path / "nowhere")


def test_c_locale(nifti_set):
    """Names outside ASCII are read and printed under LC_ALL=C, whatever Python makes of that locale."""
    root = nifti_set(names=("Müller links", "b", "c"))
    (root / "images" / "Müller links.nii.gz").write_bytes(b"")
    command = [sys.executable, "-m", "data_prep", "check", str(root)]
    here = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(command, env=here, capture_output=True, check=False)
    assert done.returncode == 3 and b"Traceback" not in done.stderr, done.stderr
    assert b"D002" in done.stdout and b"links.nii.gz" in done.stdout


def test_a_folder_that_cannot_be_listed_ends_in_one_line(nifti_set, monkeypatch):
    root, listed = nifti_set(), Path.iterdir

    def refuse(self: Path) -> Iterator[Path]:
        if self.name == "images":
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    result = CliRunner().invoke(app, ["check", str(root)])
    assert result.exit_code == 5
    assert result.stderr == f"error: {root}/images: the system says: Permission denied. Type: ls -ld {root}/images\n"
