"""The worst test cases of a run, for the eye. They show patients: they stay in the output folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.label_efficiency.scoring import Scores
from monai_hybrid.reporting.figures import Panel, contact_sheet, middle_slices


def worst_cases(
    path: Path, store: Any, cases: Sequence[dict[str, Any]], scores: Scores, predictions: dict[str, Tensor], number: int = 5
) -> None:
    """Label above prediction of the cases with the lowest mean Dice, worst first."""
    worst = sorted(cases, key=lambda case: sum(scores[case["case_id"]]))[:number]
    rows: list[list[Panel | None]] = [[], []]
    for case in worst:
        item = store[case]
        image, label = np.asarray(item["image"])[0], np.asarray(item["label"])[0].astype(int)
        views = _same_slice(image, label, predictions[case["case_id"]].numpy().astype(int))
        note = f"{sum(scores[case['case_id']]) / len(scores[case['case_id']]):.2f}"
        rows[0].append(Panel(views[0], views[1]))
        rows[1].append(Panel(views[0], views[2], note=note))
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(rows, (), ["label", "prediction"], path)


def _same_slice(image: Any, label: Any, prediction: Any) -> tuple[Any, Any, Any]:
    """One slice of the three: where label and prediction together are largest."""
    both = label + prediction * (label.max() + 1)  # one mask, so that the same slice is taken for both
    shown, joint = middle_slices(image, both)
    assert joint is not None
    base = label.max() + 1
    return shown, joint % base, joint // base
