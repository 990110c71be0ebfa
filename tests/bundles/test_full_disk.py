"""A disk that is full at any moment of a prediction: no mask without its row, no row without its mask."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from prediction_runs import predict, quality, random_model

from monai_hybrid.errors import EnvironmentFault
from monai_hybrid.prediction.table import QualityTable


def scan(size: int, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    voxels = np.random.default_rng(0).random((size,) * 3, np.float32)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    scan(8, tmp_path / "in/a.nii.gz")
    scan(12, tmp_path / "in/b.nii.gz")
    return tmp_path / "in"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few pages."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def consistent(folder: Path) -> dict[str, str]:
    """Status by case, after a look at masks and rows."""
    rows = quality(folder) if (folder / "quality.csv").is_file() else {}
    masks = {file.name for file in folder.glob("*_seg.nii.gz")}
    assert masks == {row["mask"] for row in rows.values() if row["status"] == "done"}
    assert not list(folder.glob(".*.tmp"))
    return {name: row["status"] for name, row in rows.items()}


@pytest.mark.parametrize("moment", ["reserve", "mask", "row"])
def test_whatever_cannot_be_written_mask_and_row_go_together(
    moment: str, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"input": scans, "output_dir": tmp_path / "out", "model": random_model(tmp_path / "model", spacing=1.0)}
    settings |= {"save_entropy": True}

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if moment == "mask":
            patch.setattr("monai_hybrid.inferers.native_grid.replace_file", full)
        else:
            patch.setattr(QualityTable, "reserve" if moment == "reserve" else "write", full)
        error = predict(**settings)
    assert isinstance(error, EnvironmentFault) and error.exit_code == 5, error
    assert "No space left on device" in str(error) and "then run it again: finished cases are skipped" in str(error)
    assert consistent(tmp_path / "out") == {} and not list((tmp_path / "out").glob("*.nii.gz"))
    assert predict(**settings) is None
    assert consistent(tmp_path / "out") == {"a": "done", "b": "done"}


def test_a_disk_that_is_really_full(scans: Path, small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "other").write_bytes(bytes(16_000))
    settings = {"input": scans, "output_dir": small_disk / "out", "model": random_model(tmp_path / "model", spacing=1.0)}
    error = predict(**settings)
    assert isinstance(error, EnvironmentFault), error
    assert " needed, " in str(error) and " free" in str(error) and "MB" in str(error)
    consistent(small_disk / "out")
    (small_disk / "other").unlink()
    assert predict(**settings) is None
    assert consistent(small_disk / "out") == {"a": "done", "b": "done"}


def test_a_name_that_is_a_formula(tmp_path: Path) -> None:
    name = "=HYPERLINK(1)"
    scan(8, tmp_path / f"in/{name}.nii.gz")
    settings = {
        "input": tmp_path / "in",
        "output_dir": tmp_path / "out",
        "model": random_model(tmp_path / "model", spacing=1.0),
    }
    assert predict(**settings) is None
    assert f"\n'{name},done," in (tmp_path / "out/quality.csv").read_text()
    before = (tmp_path / f"out/{name}_seg.nii.gz").stat().st_mtime_ns
    assert predict(**settings) is None  # the name comes back, so the case is known
    assert (tmp_path / f"out/{name}_seg.nii.gz").stat().st_mtime_ns == before
