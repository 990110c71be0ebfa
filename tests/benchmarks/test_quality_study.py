"""The study of predicted quality: what counts as found, and what its tables say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.quality import main, scored, tables, worst_found
from monai_hybrid.quality.dice_model import fit_structure
from monai_hybrid.quality.held_out import CLEAN, Measured


@pytest.mark.parametrize(
    ("score", "found"),
    [
        (np.arange(20.0), 1.0),
        (-np.arange(20.0), 0.0),
        (np.array([0.0, 9, 1, *range(10, 27)]), 0.5),
        (np.ones(20), 0.1),  # no order at all: as many as by chance
    ],
)
def test_the_worst_tenth(score: np.ndarray, found: float) -> None:
    assert worst_found(np.linspace(0.1, 0.9, 20).tolist(), score.tolist()) == pytest.approx(found)


def test_scores_and_tables() -> None:
    random = np.random.default_rng(0)
    rows = []
    for i, dice in enumerate(np.linspace(0.4, 0.9, 30)):
        signals = {
            "soft_dice": float(dice + random.normal(0, 0.02)),
            "entropy": float(random.uniform()),
            "agreement_flip": None,
        }
        of = {"case_id": f"c{i}", "patient": f"p{i % 6}", "copy": CLEAN, "structure": "disc", "signals": signals}
        rows.append({**of, "dice": float(dice)})
    entry = {"dice": {"disc": fit_structure(rows)}, "reference": {"predicted_dice": [0.65]}}
    result = scored(Measured(rows), entry)
    assert result["error"] < 0.05 < result["error_of_a_constant"] and result["covered"] >= 0.85
    assert result["rank_correlation"]["predicted Dice"] > 0.95 and result["worst_found"]["predicted Dice"] == 1.0
    assert "agreement_flip" not in result["rank_correlation"], "where a signal is missing it ranks nothing"
    shown = tables({"made": {**result, "ece": {"before": 0.1, "after": None}, "strange": None}}).splitlines()
    assert shown[2].startswith("| made | 30 | 0.650 |") and shown[2].endswith("| 0.1000 | - | - |")


def test_lines_come_from_data_or_from_the_models_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "plain.pt")
    words = ["quality", "--model", str(tmp_path / "plain.pt"), "--output", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match=r"plain\.pt: no predicted Dice; give data of three validation patients, or calibrate"):
        main()
    monkeypatch.setattr("sys.argv", [*words, "--cost", "2"])
    with pytest.raises(SystemExit):
        main()
    assert "--cost needs --fit" in capsys.readouterr().err and not (tmp_path / "out").exists()
