"""A mask that is given for a scan is said, and predicted all the same: it may be a picture of few greys."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from data_prep.checks.intensities import AT_ONCE, few_whole_values
from monai_hybrid.prediction.cases import inspect
from monai_hybrid.prediction.flags import masks_for_scans

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 255, (12, 16)).astype(np.uint8)
SAID = "are its only values, as in a mask; expected the grey values of a scan"


@pytest.mark.parametrize(
    ("pixels", "seen"),
    [
        (GREY % 3, "D207: 0, 1, 2"),
        (GREY // 128 * 255, "D207: 0, 255"),
        (GREY % 16 * 16, "D207: 0, 16, 32 and 13 more"),
        (GREY % 17, ""),
        (GREY, ""),
        (np.stack([GREY % 2 * 255, GREY * 0, GREY // 128 * 255], -1), "D207: 0, 255"),
        (np.stack([GREY, GREY * 0, GREY * 0], -1), ""),
    ],
)
def test_a_picture_of_few_values_is_told(pixels: np.ndarray, seen: str, tmp_path: Path) -> None:
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "a.png")
    colours = 1 if pixels.ndim == 2 else 3
    remarks = inspect(str(tmp_path / "a.png"), colours, 2, None if colours == 1 else ("red", "green", "blue")).remarks
    assert remarks == ((f"{seen} {SAID}",) if seen else ())


@pytest.mark.parametrize(
    ("voxels", "told"),
    [
        (RANDOM.integers(0, 3, (6, 7, 8)).astype(np.uint8), True),
        (RANDOM.integers(0, 3, (6, 7, 8)).astype(np.float32), True),
        (RANDOM.integers(0, 3, (6, 7, 8)).astype(np.float32) / 2, False),  # probabilities, or a scaled scan
        (RANDOM.integers(-1000, 1000, (6, 7, 8)).astype(np.int16), False),
        (RANDOM.normal(size=(6, 7, 8)).astype(np.float32), False),
    ],
)  # fmt: skip
def test_a_volume_of_few_values_is_told(voxels: np.ndarray, told: bool, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii.gz")
    assert any("D207" in remark for remark in inspect(str(tmp_path / "a.nii.gz"), 1, 3).remarks) is told


def test_all_of_a_volume_counts() -> None:
    late = np.zeros(3 * AT_ONCE, np.int16)
    late[-1] = 7
    assert few_whole_values(late) == {0, 7}
    late[-20:] = np.arange(20)
    assert few_whole_values(late) == set()
    assert few_whole_values(np.array([0, 1, np.nan])) == few_whole_values(np.array([0, np.inf])) == set()


def test_the_end_of_a_prediction_names_them() -> None:
    told = {"status": "done", "flag": f"no organ found; D207: 0, 1 {SAID}"}
    rows = [{"case_id": "a", **told}, {"case_id": "b", "status": "done", "flag": ""}, {"case_id": "c", **told}]
    assert masks_for_scans(rows).startswith("a, c: 2 images of a few whole numbers only, as masks have. If")
    assert masks_for_scans([rows[1], {"case_id": "d", "status": "failed", "flag": told["flag"]}]) == ""
