"""What the checks of axes say to type writes copies of the whole folder, and leaves the user's files as they are."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from data_prep.checks.registry import REGISTRY


@pytest.mark.parametrize("code", ["D109", "D308"])
def test_the_command_writes_copies_and_keeps_the_files(tmp_path: Path, code: str) -> None:
    """Two channels, flat with two channels, and a plain volume that passes through."""
    folder = tmp_path / "in put"
    folder.mkdir()
    shapes = {"a.nii.gz": (4, 5, 6, 2), "b.nii": (4, 5, 1, 2), "c.nii.gz": (4, 5, 6)}
    for name, shape in shapes.items():
        values = np.random.default_rng(0).integers(0, 9, shape).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(values, np.diag([0.5, 2, 3, 1])), folder / name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    line = REGISTRY[code].remedy.split("of the folder: ")[1].replace("{file}", shlex.quote(str(folder / "a.nii.gz")))
    done = subprocess.run(
        ["bash", "-c", line.replace("python", sys.executable, 1)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    for name, shape in shapes.items():
        source, copy = nibabel.load(folder / name), nibabel.load(tmp_path / "NEW" / name)
        assert copy.shape == shape[:3]
        np.testing.assert_allclose(copy.affine, source.affine)
        values = source.get_fdata()
        wanted = values if values.ndim == 3 else values[..., 0] if code == "D109" else values.argmax(-1)
        np.testing.assert_array_equal(copy.get_fdata(), wanted)
