"""Judgements that the training data had overruled are overruled for new scans too; others by `--accept`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from data_prep.checks import Finding
from monai_hybrid.bundle.data import prepare_data
from monai_hybrid.dicom_border import _sentence
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.model_card import parse_card
from monai_hybrid.prediction.cases import accepted_by, inspect
from monai_hybrid.weights import make_card

FINE = np.diag([0.01, 0.01, 0.01, 1])  # mm: beyond what D107 lets pass


def scan(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.random.default_rng(0).normal(100, 20, (8, 9, 10)).astype(np.float32)
    nib.save(nib.Nifti1Image(grey, FINE), path)
    return str(path)


def test_what_the_training_data_overruled_hinders_no_mask(tmp_path: Path) -> None:
    image = scan(tmp_path / "a.nii.gz")
    with pytest.raises(DataError, match=r"D107 error: .*add --accept D107$"):
        inspect(image, channels=1, dims=3)
    facts = inspect(image, channels=1, dims=3, accept=accepted_by({"accepted": ["D107"]}))
    assert facts.remarks == ()  # it is so of each scan of theirs
    assert inspect(image, channels=1, dims=3, accept=accepted_by({}, "d107")) == facts
    with pytest.raises(DataError, match="D107 error"):
        inspect(image, channels=1, dims=3, accept=accepted_by({"accepted": ["D103"]}))


@pytest.mark.parametrize("code", ["D201", "D999", "no"])
def test_a_fact_cannot_be_overruled(code: str) -> None:
    with pytest.raises(ConfigError, match=f"--accept {code.upper()}: "):
        accepted_by({"accepted": ["D107"]}, code)


def test_the_card_keeps_what_was_overruled() -> None:
    dataset: dict[str, Any] = {"spatial_dims": 3, "channels": ["image"], "labels": []}
    assert make_card({}, {**dataset, "accepted": ["D107"]}, {}, {})["accepted"] == ["D107"]
    assert "accepted" not in make_card({}, dataset, {}, {})


def test_a_card_that_overrules_in_other_words_is_refused() -> None:
    assert parse_card(Path("m"), '{"accepted": ["D107"]}') == {"accepted": ["D107"]}
    with pytest.raises(Exception, match=r"accepted\[0\]: saw 'all'"):
        parse_card(Path("m"), '{"accepted": ["all"]}')


def test_of_a_raw_folder_it_is_said_where_the_option_belongs(tmp_path: Path) -> None:
    for number in range(3):
        scan(tmp_path / "raw" / "images" / f"p{number}.nii.gz")
        label = np.zeros((8, 9, 10), np.uint8)
        label[2:6, 2:6, 2 : 6 + number] = 1
        (tmp_path / "raw" / "labels").mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(label, FINE), tmp_path / "raw" / "labels" / f"p{number}.nii.gz")
    with pytest.raises(DataError, match=r"--accept is an option of build: add it to monai-hybrid build \S+raw --output"):
        prepare_data(str(tmp_path / "raw"), str(tmp_path / "out"))


def test_a_series_that_no_dicom_seg_can_refer_to_is_offered_no_option() -> None:
    remedy = "Export it again; or, if it is meant so, add --accept D518"
    finding = Finding("D518", "error", "c", "f", "2 frames of reference", remedy)
    assert _sentence([finding]) == "D518: 2 frames of reference. Export it again"
