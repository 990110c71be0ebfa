"""Dice that cannot flatter, and the files in which it is written."""

from __future__ import annotations

import csv
import json
import logging
import math
import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Engine
from torch import Tensor

from monai_hybrid.evaluation import DiceHandler, DiceReport
from monai_hybrid.evaluation.scores import dice_per_class, summarize

K = 3


def grid(*values: int) -> Tensor:
    """A (1, X, Y) mask of one row."""
    return torch.tensor(values).view(1, 1, -1)


@pytest.mark.parametrize(
    ("pred", "label", "expected"),
    [
        (grid(0, 1, 1, 2), grid(0, 1, 1, 2), [1, 1]),  # perfect
        (grid(0, 0, 0, 2), grid(0, 1, 1, 2), [0, 1]),  # class 1 missed
        (grid(0, 1, 1, 0), grid(0, 1, 1, 0), [1, 1]),  # class 2 absent in both
        (grid(0, 1, 1, 2), grid(0, 1, 1, 0), [1, 0]),  # class 2 invented
        (grid(1, 1, 1, 2), grid(0, 0, 1, 2), [1 / 2, 1]),  # 2 * 1 / (3 + 1)
        (grid(0, 0, 0, 0), grid(0, 0, 0, 0), [1, 1]),
    ],
)
def test_dice_of_each_class(pred: Tensor, label: Tensor, expected: list[float]) -> None:
    assert dice_per_class(pred, label, K) == pytest.approx(expected)
    assert dice_per_class(pred.float(), label.float(), K) == pytest.approx(expected)


def test_grids_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"prediction \(1, 4, 5\) and label \(1, 5, 4\) are on different grids"):
        dice_per_class(torch.zeros(1, 4, 5), torch.zeros(1, 5, 4), K)
    assert dice_per_class(torch.zeros(1, 4, 5, 6), torch.zeros(1, 4, 5, 6), K) == [1, 1]


@settings(deadline=None, max_examples=40)
@given(pixels=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12))
def test_dice_is_symmetric_and_blind_to_order(pixels: list[tuple[int, int]]) -> None:
    pred, label = (grid(*values) for values in zip(*pixels, strict=True))
    values = dice_per_class(pred, label, K)
    assert values == dice_per_class(label, pred, K) == dice_per_class(pred.flip(-1), label.flip(-1), K)
    for index, value in enumerate(values, start=1):
        p, y = (pred == index), (label == index)
        total = int(p.sum() + y.sum())
        assert value == pytest.approx(2 * int((p & y).sum()) / total if total else 1.0)


def row(case: str, name: str, dice: float, label_voxels: int = 5) -> dict[str, Any]:
    return {"case_id": case, "class": name, "dice": dice, "label_voxels": label_voxels, "pred_voxels": 5}


def test_a_summary_is_what_statistics_says() -> None:
    rows = [
        row("a", "liver", 0.9),
        row("a", "spleen", 0.5),
        row("b", "liver", 0.7),
        row("b", "spleen", 0.0, 0),
        row("c", "liver", 0.2),
    ]
    summary = summarize(rows)
    assert list(summary) == ["all", "liver", "spleen"]
    assert summary["liver"] == pytest.approx(
        {"mean": 0.6, "median": 0.7, "sd": statistics.stdev([0.9, 0.7, 0.2]), "min": 0.2, "cases": 3, "without_structure": 0}
    )
    assert summary["spleen"]["without_structure"] == 1 and summary["spleen"]["mean"] == 0.25
    by_case = [0.7, 0.35, 0.2]
    assert summary["all"]["mean"] == pytest.approx(statistics.fmean(by_case)) and summary["all"]["cases"] == 3
    assert summary["all"]["sd"] == pytest.approx(statistics.stdev(by_case))


def test_the_spread_of_one_case_is_0() -> None:
    assert summarize([row("a", "liver", 0.9)])["liver"]["sd"] == 0.0


CASES = {
    "a": (grid(0, 1, 1, 2), grid(0, 1, 1, 2)),
    "b": (grid(1, 1, 1, 2), grid(0, 0, 1, 2)),
    "c": (grid(0, 1, 1, 2), grid(0, 1, 1, 0)),
}


def evaluate(report: DiceReport, cases: dict[str, tuple[Tensor, Tensor]], batch_size: int = 2) -> None:
    """An engine that gives decollated batches, as MONAI's evaluator does."""
    names = list(cases)
    batches = [names[i : i + batch_size] for i in range(0, len(names), batch_size)]

    def step(engine: Engine, batch: list[dict[str, str]]) -> list[dict[str, Tensor]]:
        return [dict(zip(("pred", "label"), cases[item["case_id"]], strict=True)) for item in batch]

    engine = Engine(step)
    report.attach(engine)
    engine.run([[{"case_id": name} for name in batch] for batch in batches])


def test_the_files_hold_what_a_recomputation_gives(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    report = DiceReport(str(tmp_path / "eval"), ["background", "liver", "spleen"], {"model": "m.pt", "split": "testing"})
    with caplog.at_level(logging.INFO, logger="monai_hybrid.evaluation"):
        evaluate(report, CASES)
    with (tmp_path / "eval" / "dice.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(r["case_id"], r["class"]) for r in rows] == [(c, n) for c in "abc" for n in ("liver", "spleen")]
    for r in rows:
        pred, label = CASES[r["case_id"]]
        index = ["background", "liver", "spleen"].index(r["class"])
        assert float(r["dice"]) == pytest.approx(dice_per_class(pred, label, K)[index - 1])
        assert (int(r["pred_voxels"]), int(r["label_voxels"])) == (int((pred == index).sum()), int((label == index).sum()))
    summary = json.loads((tmp_path / "eval" / "summary.json").read_text())
    typed = [{**r, "dice": float(r["dice"]), "label_voxels": int(r["label_voxels"])} for r in rows]
    assert summary == {"model": "m.pt", "split": "testing", "dice": summarize(typed)}
    assert "Dice spleen: 0.667 (SD 0.577, 3 cases, 1 without the structure)" in caplog.text
    assert sorted(p.name for p in (tmp_path / "eval").iterdir()) == ["dice.csv", "summary.json"]


def test_a_second_run_starts_anew(tmp_path: Path) -> None:
    report = DiceReport(str(tmp_path), ["background", "liver", "spleen"], {})
    for cases in (CASES, {"b": CASES["b"]}):
        evaluate(report, cases)
    assert {r["case_id"] for r in report.rows} == {"b"}


def test_the_batch_size_does_not_matter(tmp_path: Path) -> None:
    written = []
    for batch_size in (1, 3):
        evaluate(DiceReport(str(tmp_path), ["background", "liver", "spleen"], {}), CASES, batch_size)
        written.append((tmp_path / "dice.csv").read_bytes())
    assert written[0] == written[1]


def handler_value(reduction: str) -> Any:
    handler = DiceHandler(reduction)
    for pred, label in CASES.values():
        one_hot = [torch.nn.functional.one_hot(x[0].long(), K).movedim(-1, 0).float() for x in (pred, label)]
        handler.update(([one_hot[0]], [one_hot[1]]))
    return handler.compute()


def test_dice_while_training_is_the_dice_of_the_report() -> None:
    values = torch.tensor([dice_per_class(pred, label, K) for pred, label in CASES.values()])
    assert handler_value("mean") == pytest.approx(float(values.mean()))
    assert handler_value("mean_batch").tolist() == pytest.approx(values.mean(0).tolist())
    assert math.isfinite(handler_value("mean"))


def test_a_report_of_a_single_engine_state(tmp_path: Path) -> None:
    report = DiceReport(str(tmp_path), ["background", "liver", "spleen"], {})
    pred, label = CASES["a"]
    report.collect(SimpleNamespace(state=SimpleNamespace(output=[{"pred": pred, "label": label}], batch=[{"case_id": "a"}])))
    assert [r["dice"] for r in report.rows] == [1, 1]
