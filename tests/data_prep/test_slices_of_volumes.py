"""`slices` cuts volumes into slices that lie where they lay, under names that pair images and masks."""

from __future__ import annotations

import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest

from data_prep.build import build
from data_prep.errors import ConfigError, DataError
from data_prep.slices import cut, line


def volume(file: Path, spacing: tuple[float, ...] = (1.4, 1.4, 10), high: int = 900) -> np.ndarray:
    """A file of noise, 4 x 5 x 6 voxels, somewhere in the patient."""
    file.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(zlib.crc32(str(file).encode())).integers(0, high, (4, 5, 6)).astype(np.int16)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = 7, -8, 9
    nibabel.save(nibabel.Nifti1Image(values, affine), file)
    return values


@pytest.mark.parametrize(("spacing", "axis"), [((1.4, 1.4, 10), 2), ((8, 1, 1), 0), ((1, 1, 1), 2)])
def test_slices_join_to_the_volume_again(tmp_path: Path, spacing: tuple[float, ...], axis: int) -> None:
    values = volume(tmp_path / "my scans/p1.nii.gz", spacing)
    (tmp_path / "my scans/.hidden.nii.gz").write_bytes(b"no volume")
    assert cut(tmp_path / "my scans", tmp_path / "cut") == (1, values.shape[axis])
    slices = [nibabel.load(file) for file in sorted((tmp_path / "cut").iterdir())]
    assert all(one.shape[axis] == 1 for one in slices)
    np.testing.assert_array_equal(np.concatenate([one.get_fdata() for one in slices], axis), values)
    start = nibabel.load(tmp_path / "my scans/p1.nii.gz").affine
    for k, one in enumerate(slices):
        np.testing.assert_allclose(one.affine[:3, 3], start[:3, 3] + k * start[:3, axis])


@pytest.mark.parametrize("mask", ["labels/{}.nii.gz", "labels/{}_seg.nii.gz", "images/{}_gt.nii.gz"])
def test_what_was_a_data_set_of_volumes_is_one_of_slices(tmp_path: Path, mask: str) -> None:
    for patient in ("patient1", "patient2", "patient3", "patient4"):
        volume(tmp_path / f"raw/images/{patient}.nii.gz")
        volume(tmp_path / "raw" / mask.format(patient), high=2)
    (tmp_path / "raw/labels.json").write_text('{"1": "LV"}')
    raw = tmp_path / "raw" if mask.startswith("labels") else tmp_path / "raw/images"
    assert cut(raw, tmp_path / "cut") == (8, 48)
    report = build(tmp_path / "cut", tmp_path / "target")
    assert report.patients.startswith("patients: 4 in 24 cases")


def test_what_cannot_be_cut_leaves_nothing(tmp_path: Path) -> None:
    volume(tmp_path / "raw/a.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 2), np.int16), np.eye(4)), tmp_path / "raw/b.nii.gz")
    with pytest.raises(DataError, match=r"raw/b.nii.gz: 4 axes; expected a volume of three"):
        cut(tmp_path / "raw", tmp_path / "cut")
    (tmp_path / "raw/b.nii.gz").write_bytes((tmp_path / "raw/a.nii.gz").read_bytes()[:-20])
    with pytest.raises(DataError, match=r"raw/b.nii.gz: .*Type: monai-hybrid check"):
        cut(tmp_path / "raw", tmp_path / "cut")
    with pytest.raises(ConfigError, match=r"raw/cut: it lies within .*raw. Type: --output .*_slices"):
        cut(tmp_path / "raw", tmp_path / "raw/cut")
    with pytest.raises(ConfigError, match=r"raw: it exists; expected the name of a new folder"):
        cut(tmp_path / "raw/a.nii.gz", tmp_path / "raw")
    with pytest.raises(DataError, match=r"no NIfTI file; expected .nii or .nii.gz"):
        (tmp_path / "empty").mkdir()
        cut(tmp_path / "empty", tmp_path / "cut")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "raw"]


def test_the_line_to_type_names_a_free_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    volume(tmp_path / "my scans/p1.nii.gz")
    assert line("my scans") == "monai-hybrid slices 'my scans' --output 'my scans_slices'"
