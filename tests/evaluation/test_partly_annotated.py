"""Test cases of which a part is annotated: a Dice over that part, no surface, and every mean says what is in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from made_cases import NAMES, box, evaluate
from torch import Tensor

from data_prep.ignoring import IGNORED
from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.case_table import read_cases
from monai_hybrid.evaluation.comparison import compare
from monai_hybrid.evaluation.metrics import score_case
from monai_hybrid.evaluation.slices import case_slice
from monai_hybrid.evaluation.summary import partly_annotated
from monai_hybrid.reporting.inputs import read_evaluation
from monai_hybrid.reporting.tables import cases, structures

SHAPE = (12, 10, 8)


def organ(at: int = 2) -> Tensor:
    """(1, X, Y, Z) with a box of 4^3."""
    values = torch.zeros(SHAPE, dtype=torch.int64)
    values[box(SHAPE, (at, 3, 2), (4, 4, 4))] = 1
    return values[None]


def partly(label: Tensor, *slices: int) -> Tensor:
    """The label, annotated in some slices of the last axis."""
    found = torch.full_like(label, IGNORED)
    found[..., list(slices)] = label[..., list(slices)]
    return found


@pytest.mark.parametrize("shape", [SHAPE, SHAPE[:2]], ids=["volume", "picture"])
def test_the_dice_is_that_of_the_annotated_part(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    pred, label = (torch.randint(3, (1, *shape), generator=generator) for _ in range(2))
    kept = [1, 4, 5]
    found = score_case(pred, partly(label, *kept), 3, (1.0,) * len(shape), 1.0)
    expected = score_case(pred[..., kept], label[..., kept], 3, (1.0,) * len(shape), 1.0)
    assert [score.dice for score in found] == pytest.approx([score.dice for score in expected])
    assert [score.status for score in found] == [score.status for score in expected] == ["ok", "ok"]
    assert all(score.nsd is None and score.hd95 is None for score in found)
    assert all(score.nsd is not None for score in expected), "all annotated: surfaces as ever"


def test_what_is_predicted_where_nobody_looked_is_not_invented() -> None:
    (found,) = score_case(organ(), partly(organ() * 0, 0, 7), 2, (1.0,) * 3, 1.0)
    assert found.status == "absent" and found.pred_voxels == 0
    (missed,) = score_case(organ() * 0, partly(organ(), 3), 2, (1.0,) * 3, 1.0)
    assert (missed.status, missed.dice, missed.label_voxels) == ("missed", 0.0, 16)


def test_a_prediction_may_not_leave_voxels_open() -> None:
    with pytest.raises(DataError, match="the prediction holds values from -1 to 1"):
        score_case(partly(organ(), 3), organ(), 2, (1.0,) * 3, 1.0)


def test_the_means_of_surfaces_are_over_whole_labels(tmp_path: Path) -> None:
    made = {"whole": (organ(), organ()), "part": (organ(4), partly(organ(), 3)), "none": (organ(), partly(organ() * 0, 0))}
    evaluate(tmp_path / "a", made, names=NAMES[:2])
    summary = json.loads((tmp_path / "a/summary.json").read_text())
    assert summary["partly_annotated"]["cases"] == 1 and "annotated voxels" in summary["partly_annotated"]["policy"]
    dice, nsd = summary["dice"][NAMES[1]], summary["nsd"][NAMES[1]]
    assert (dice["mean"], dice["n"], dice["undefined"]) == (pytest.approx(0.75), 2, 1)
    assert (nsd["mean"], nsd["n"], nsd["undefined"]) == (1, 1, 2)
    rows = read_cases(tmp_path / "a")
    assert partly_annotated(rows) == ["part"]
    evaluation = read_evaluation(tmp_path / "a")
    assert "NSD and HD95 leave out the 1 case annotated in part." in structures(evaluation).note and cases(evaluation).rows
    evaluate(tmp_path / "b", {**made, "part": (organ(), partly(organ(), 3))}, names=NAMES[:2])
    differences = {d.metric: d for d in compare(tmp_path / "a", tmp_path / "b") if d.name == NAMES[1]}
    assert (differences["dice"].n, differences["nsd"].n) == (2, 1) and differences["dice"].difference == pytest.approx(0.25)


def test_whole_labels_say_nothing_of_parts(tmp_path: Path) -> None:
    evaluate(tmp_path, {"whole": (organ(), organ())}, names=NAMES[:2])
    assert "partly_annotated" not in json.loads((tmp_path / "summary.json").read_text())


def test_one_empty_cell_is_a_damaged_table(tmp_path: Path) -> None:
    evaluate(tmp_path, {"whole": (organ(), organ())}, names=NAMES[:2])
    table = tmp_path / "cases.csv"
    lines = table.read_text().splitlines()
    cells = lines[1].split(",")
    cells[lines[0].split(",").index("nsd")] = ""
    table.write_text("\n".join([lines[0], ",".join(cells)]) + "\n")
    with pytest.raises(DataError, match="nsd is None"):
        read_evaluation(tmp_path)


def test_a_slice_shows_no_reference_where_nobody_annotated() -> None:
    found = case_slice(torch.rand(1, *SHAPE), partly(organ(), 3), organ(), True)
    assert found["reference"].sum() == 16 and set(np.unique(found["reference"])) == {0, 1}
