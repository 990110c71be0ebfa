"""Lines to type call the Python that runs, also where `python` is another one: after uv tool install and pipx."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from data_prep import this_python
from data_prep.check import check
from data_prep.quoting import quoted

WANTED = '"monai-hybrid[dicom]"'


def test_in_an_activated_environment_it_is_python() -> None:
    assert this_python.python() == "python" and this_python.install("dicom") == f"pip install {WANTED}"


@pytest.mark.parametrize("other", [True, False])
def test_elsewhere_it_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: bool) -> None:
    if other:
        (tmp_path / "python").write_text("#!/bin/sh\n")
        (tmp_path / "python").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert this_python.python() == quoted(sys.executable)
    assert this_python.install("dicom") == f"{quoted(sys.executable)} -m pip install {WANTED}"
    nibabel.save(nibabel.Nifti1Image(np.full((4, 5, 6), np.nan, np.float32), np.eye(4)), tmp_path / "a.nii.gz")
    (finding,) = (one for one in check(tmp_path / "a.nii.gz") if one.code == "D201")
    assert f"mkdir NEW && {quoted(sys.executable)} -c " in finding.remedy, finding


def test_an_environment_of_uv_has_no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_python, "_has_pip", lambda: False)
    assert this_python.install("dicom") == f"uv pip install --python {quoted(sys.executable)} {WANTED}"


def test_a_line_to_type_leaves_setuptools_as_it_was() -> None:
    """Before Python 3.12 a search for the module pip makes the next import of setuptools fail."""
    pytest.importorskip("setuptools")
    code = "from data_prep.this_python import install; print(install('dicom')); import setuptools"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0 and WANTED in done.stdout, done.stderr
