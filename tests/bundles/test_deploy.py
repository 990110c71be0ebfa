"""The example of docs/how-to/deploy in the MONAI Deploy App SDK: DICOM in, the DICOM-SEG of `monai-hybrid predict` out.

The SDK needs packages of its own: the environment's Python is given in MONAI_DEPLOY_PYTHON; nothing is installed here.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bundle_runs import ROOT, environment, run_bundle
from dicom_files import write_series
from seg_files import complaints, voxels
from test_dicom_seg import shells

PYTHON = os.environ.get("MONAI_DEPLOY_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON, reason="MONAI_DEPLOY_PYTHON names no Python with monai-deploy-app-sdk 4.0.0; see docs/how-to/deploy.md"
    ),
]


def application(given: Path, model: Path, output: Path) -> subprocess.CompletedProcess[str]:
    words = [PYTHON, "-W", "ignore", str(ROOT / "docs/how-to/deploy/app.py"), "-i", given, "-m", model, "-o", output]
    return subprocess.run(
        list(map(str, words)), env=environment(), cwd=given.parent, capture_output=True, text=True, timeout=600, check=False
    )


def test_an_application_writes_the_masks_of_the_command_line(trained: Path, tmp_path: Path) -> None:
    model = trained / "models/model.safetensors"
    axial = write_series(tmp_path / "in/a", shells((20, 48, 44)), modality="MR", intercepts=0, spacing=(3.0, 3.0, 4.0))
    survey = {"study_uid": axial.study_uid, "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    write_series(tmp_path / "in/survey", shells((3, 48, 44)), modality="MR", **survey)
    done = application(tmp_path / "in", model, tmp_path / "segs")
    assert done.returncode == 0, done.stderr[-3000:]
    (seg,) = (tmp_path / "segs").glob("*_seg.dcm")
    assert f"done, {seg.name}" in done.stdout
    line = run_bundle(
        "bundles/few_shot_finetune/configs/inference.json", input=tmp_path / "in/a", model=model, output_dir=tmp_path / "line"
    )
    assert line.returncode == 0, line.stderr[-3000:]
    (expected,) = (tmp_path / "line").glob("*_seg.dcm")
    shape = (44, 48, 20)
    mask = voxels(expected, shape, axial.affine)
    assert len(np.unique(mask)) > 1
    np.testing.assert_array_equal(voxels(seg, shape, axial.affine), mask)
    assert complaints(seg) == []


def test_a_series_without_a_slice_ends_the_application_with_an_error(trained: Path, tmp_path: Path) -> None:
    written = write_series(tmp_path / "in", shells(), modality="MR", intercepts=0)
    written.files[3].unlink()
    done = application(tmp_path / "in", trained / "models/model.safetensors", tmp_path / "segs")
    assert done.returncode != 0 and not list((tmp_path / "segs").glob("*_seg.dcm"))
    assert "missing" in (tmp_path / "segs/quality.csv").read_text()
