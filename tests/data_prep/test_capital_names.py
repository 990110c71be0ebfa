"""`.NII.GZ`, `.Nii.gz`, `.NII`: read alike, and never written in a way that another reader refuses."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from prep_samples import cube, noise, save
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.nifti_open import open_nifti
from monai_hybrid.inferers.native_grid import write_mask
from monai_hybrid.transforms import CaseReader

RUN = CliRunner()
ENDINGS = (".NII.GZ", ".Nii.gz", ".nii.GZ", ".nii.Gz", ".NII", ".Nii")


def data_set(root: Path, end: str) -> Path:
    for index, name in enumerate("abc"):
        for folder, array in (("images", noise((6, 7, 8), index)), ("labels", cube((6, 7, 8)))):
            path = save(root / folder / f"{name}.nii.gz", array)
            raw = path.read_bytes()
            path.unlink()
            path.with_name(name + end).write_bytes(raw if end.lower().endswith(".gz") else gzip.decompress(raw))
    return root


@pytest.mark.parametrize("end", ENDINGS)
def test_every_room_reads_it(end: str, tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", end)
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out")])
    assert said.exit_code == 0, said.output
    path = root / f"images/a{end}"
    np.testing.assert_array_equal(np.asarray(open_nifti(path).dataobj), noise((6, 7, 8), 0))
    array, meta = CaseReader().get_data((str(path),))
    np.testing.assert_array_equal(array, noise((6, 7, 8), 0))
    np.testing.assert_array_equal(meta["original_affine"], np.eye(4))
    mask = write_mask(np.ones((6, 7, 8), np.uint8), path, tmp_path / "m", np.eye(4))
    assert mask.name == "m.nii.gz" and nib.load(mask).shape == (6, 7, 8)


@pytest.mark.parametrize("end", ENDINGS)
def test_repair_writes_what_every_reader_opens(end: str, tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", end)
    assert "D509 note" in RUN.invoke(app, ["check", str(root)]).output
    done = RUN.invoke(app, ["repair", str(root), "--output", str(tmp_path / "out")])
    assert done.exit_code == 0 and "corrected D509" in done.output, done.output
    copies = sorted(path for folder in ("images", "labels") for path in (tmp_path / "out" / folder).iterdir())
    assert [path.name for path in copies] == [f"{name}{end.lower()}" for name in "abc"] * 2
    assert all(nib.load(path).get_fdata().shape == (6, 7, 8) for path in copies)
    assert copies[0].read_bytes() == (root / f"images/a{end}").read_bytes()
    assert "D509" not in RUN.invoke(app, ["check", str(tmp_path / "out")]).output


def test_plain_bytes_under_a_packed_name_are_packed(tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", ".NII.GZ")
    path = root / "images/a.NII.GZ"
    path.write_bytes(gzip.decompress(path.read_bytes()))
    said = RUN.invoke(app, ["check", str(root)])
    assert said.exit_code == 3 and "its name says gzip, its content is not" in said.output
    assert RUN.invoke(app, ["repair", str(root), "--output", str(tmp_path / "out")]).exit_code == 0
    assert (tmp_path / "out/images/a.nii.gz").read_bytes()[:2] == b"\x1f\x8b"
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "out/images/a.nii.gz").dataobj), noise((6, 7, 8), 0))


@pytest.mark.parametrize("end", [".MHA", ".Nrrd", ".NRRD"])
def test_other_formats_in_capitals(end: str, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    for index, name in enumerate("abc"):
        for folder, array in (("images", noise((6, 7, 8), index)), ("labels", cube((6, 7, 8)))):
            path = tmp_path / "raw" / folder / (name + end.lower())
            path.parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(array.T), str(path))
            path.rename(path.with_name(name + end))
    said = RUN.invoke(app, ["build", str(tmp_path / "raw"), "--output", str(tmp_path / "out")])
    assert said.exit_code == 0, said.output
    array, _ = CaseReader().get_data((str(tmp_path / f"raw/images/a{end}"),))
    np.testing.assert_array_equal(array, noise((6, 7, 8), 0))
