"""The names of the labels lie beside the masks that prediction writes."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from data_prep.label_file import read_label_file
from monai_hybrid.errors import DataError
from monai_hybrid.prediction.masks import SaveMasksd


def saving(folder: Path) -> SaveMasksd:
    labels = [{"index": 0, "value": 0, "name": "background"}, {"index": 1, "value": 7, "name": "RV"}]
    return SaveMasksd("pred", str(folder / "masks"), labels, str(folder / "model.pt"))


def scan(folder: Path, *shape: int) -> MetaTensor:
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4)), folder / "scan.nii.gz")
    meta = {"filename_or_obj": str(folder / "scan.nii.gz"), "original_affine": np.eye(4)}
    return MetaTensor(torch.ones(1, *shape), meta=meta)


def test_masks_come_with_the_names_of_their_values(tmp_path: Path) -> None:
    written = saving(tmp_path)({"pred": scan(tmp_path, 4, 5, 6), "case_id": "scan"})
    assert np.unique(np.asarray(nib.load(written["pred_file"]).dataobj)).tolist() == [7]
    assert read_label_file(tmp_path / "masks/labels.txt") == [(0, "background"), (7, "RV")]


def test_a_mask_that_cannot_be_written_leaves_no_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing was written"):
        saving(tmp_path)({"pred": scan(tmp_path, 4, 5, 7), "case_id": "scan"})
    assert not list((tmp_path / "masks").iterdir())
