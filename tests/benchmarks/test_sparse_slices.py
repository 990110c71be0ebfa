"""The study of contoured slices: which are kept, and what the data set is that it trains on."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmarks.sparse_slices import ARMS, data_set, kept_slices, sparse, table
from data_prep.phantom import generate
from monai_hybrid.bundle.data import read_prepared


def long_along(axis: int) -> np.ndarray:
    """A structure of 9 slices along one axis, and of 3 along the others."""
    label = np.zeros((14, 14, 14), np.uint8)
    label[tuple(slice(2, 11) if i == axis else slice(4, 7) for i in range(3))] = 1
    return label


@pytest.mark.parametrize(("arm", "places"), [("1", [6]), ("3", [4, 6, 8]), ("3+2", [1, 4, 6, 8, 11])])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_spread_over_the_structure(arm: str, places: list[int], axis: int) -> None:
    label = long_along(axis)
    assert kept_slices(label, arm) == (axis, places)
    found = np.moveaxis(sparse(label, arm), axis, 0)
    assert (found[places] == np.moveaxis(label, axis, 0)[places]).all()
    assert (np.delete(found, places, 0) == 255).all()


def test_all_slices_are_the_label_itself() -> None:
    assert (sparse(long_along(1), "all") == long_along(1)).all()


def test_the_data_set_has_sparse_training_labels_and_whole_test_labels(tmp_path: Path) -> None:
    raw = generate(tmp_path / "raw", cases=4, site="B", seed=0)
    names = sorted(file.name for file in (raw / "images").iterdir())
    (raw / "splits.json").write_text(json.dumps({"fewshot": names[:2], "val": names[2:3], "test": names[3:]}))
    data = read_prepared(data_set(raw, tmp_path / "made", "3"))

    def values(case: dict) -> set[int]:
        return set(np.unique(np.asarray(nib.load(case["label"]).dataobj)).astype(int).tolist())

    assert len(data.training) == 2 and all(255 in values(case) for case in data.training)
    assert not any(255 in values(case) for case in (*data.validation, *data.testing))
    assert data.dataset["ignore_value"] == 255
    assert "ignore_value" not in read_prepared(data_set(raw, tmp_path / "whole", "all")).dataset


def test_the_table_has_a_row_an_arm() -> None:
    rows = [{"slices": arm, "seed": seed, "dice": 0.5 + 0.1 * seed} for arm in ARMS for seed in (0, 1)]
    lines = table(rows, 0.4).splitlines()
    assert lines[2] == "| none (not adapted) | 0.400 | |" and lines[3] == "| 1 | 0.550 | 0.500, 0.600 |"
    assert len(lines) == 3 + len(ARMS)
