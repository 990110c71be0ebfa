"""The networks of leave-one-out asked together: scores, gain and table by hand, and a run without folds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.fold_agreement import gain, looked, measured, table
from monai_hybrid.errors import DataError


def finds(first: int) -> Callable[[Tensor], Tensor]:
    """A network of two classes that calls the first so many pixels of a row the structure."""

    def logits(image: Tensor) -> Tensor:
        inside = torch.zeros_like(image)
        inside[..., :first] = 4.0
        return torch.cat([2.0 - inside, inside - 2.0], dim=1)

    return logits


def test_a_case_is_scored_by_the_model_its_folds_and_their_mean() -> None:
    label = torch.zeros(1, 1, 8, dtype=torch.long)
    label[..., :4] = 1
    networks = [finds(4), finds(2), finds(4), finds(6)]
    found = looked(networks, lambda image, network: network(image), torch.zeros(1, 1, 1, 8), label, 2)
    assert found["model"] == 1.0 and found["mean_of_folds"] == 1.0  # two of three call the fourth pixel the structure
    assert found["folds"] == pytest.approx([2 / 3, 1.0, 0.8])
    assert found["agreement"] == pytest.approx((2 / 3 + 1.0 + 0.8) / 3)


def test_the_gain_is_over_patients_and_the_table_says_it() -> None:
    def row(patient: str, model: float, mean: float, agreement: float) -> dict[str, Any]:
        return {"patient": patient, "model": model, "mean_of_folds": mean, "folds": [model], "agreement": agreement}

    rows = [row("a", 0.6, 0.7, 0.8), row("a", 0.8, 0.9, 0.9), row("b", 0.9, 0.9, 0.95)]
    difference, between = gain(rows)
    assert difference == pytest.approx(0.05) and between == pytest.approx((0.0, 0.1))
    assert table(rows).splitlines()[-1] == "| 3 | 0.767 | 0.767 | 0.833 | +0.050 [+0.000, +0.100] | 0.883 | 1.00 | 100% |"


def test_a_run_without_folds_is_told_how_to_keep_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folds; adapt with --stopping leave_one_out --keep-folds True"):
        measured(tmp_path, tmp_path / "models/model.pt", 5)
