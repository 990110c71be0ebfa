"""A training on another grid than the plan's says so, and what masks keep there."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.build import build
from monai_hybrid.bundle.data import PreparedData, read_prepared
from monai_hybrid.few_shot import tell_spacing


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """Pictures with a disc and a ring one pixel wide."""
    folder = tmp_path_factory.mktemp("rings")
    rng = np.random.default_rng(0)
    radius = np.hypot(*np.indices((48, 40)).astype(float) - np.array([24, 20])[:, None, None])
    label = np.select([radius < 12, np.abs(radius - 15) < 0.5], [1, 2], 0).astype(np.uint8)
    for part in ("images", "labels"):
        (folder / "raw" / part).mkdir(parents=True)
    for number in range(4):
        image = (60 * label + rng.integers(0, 60, label.shape)).astype(np.uint8)
        Image.fromarray(image).save(folder / f"raw/images/p{number}.png")
        Image.fromarray(label).save(folder / f"raw/labels/p{number}.png")
    build(folder / "raw", folder / "prepared", label_names="1=disc,2=ring")
    return read_prepared(folder / "prepared")


def test_a_coarser_grid_is_told_with_the_structures_that_it_loses(data: PreparedData, caplog: pytest.LogCaptureFixture) -> None:
    """An adaptation takes the spacing of its model, and `build` has told another one."""
    with caplog.at_level(logging.INFO, "monai_hybrid.adaptation"):
        tell_spacing(data, data.training, [4.0, 4.0])
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    said = record.getMessage()
    assert said.startswith(
        "the network works at the spacing 4 x 4; the plan of the data has 1 x 1. "
        "The files state no mm, so the edge of a pixel counts as 1. "
        "There a mask taken to the spacing 4 x 4 and back keeps a Dice of ring 0."
    )
    assert said.endswith('To train at the plan\'s type --spacing "[1,1]"')


def test_a_grid_that_keeps_the_masks_is_no_warning(data: PreparedData, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "monai_hybrid.adaptation"):
        tell_spacing(data, data.training, [0.5, 1])
    assert [record.levelname for record in caplog.records] == ["INFO"]


@pytest.mark.parametrize("spacing", [[1, 1], [1.2, 0.9]])
def test_the_plans_own_grid_is_not_spoken_of(
    data: PreparedData, spacing: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "monai_hybrid.adaptation"):
        tell_spacing(data, data.training, spacing)
    assert not caplog.records


def test_cases_without_labels_are_not_measured(data: PreparedData, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cases = [{key: value for key, value in case.items() if key != "label"} for case in data.training]
    with caplog.at_level(logging.INFO, "monai_hybrid.adaptation"):
        tell_spacing(data, cases, [4, 4])
    assert [record.levelname for record in caplog.records] == ["INFO"]
