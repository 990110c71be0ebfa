"""Dice where every class counts, and the handler that reports it during training."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from monai_hybrid.evaluation import DiceHandler
from monai_hybrid.evaluation.scores import dice_per_class

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


@settings(max_examples=40)
@given(pixels=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12))
def test_dice_is_symmetric_and_blind_to_order(pixels: list[tuple[int, int]]) -> None:
    pred, label = (grid(*values) for values in zip(*pixels, strict=True))
    values = dice_per_class(pred, label, K)
    assert values == dice_per_class(label, pred, K) == dice_per_class(pred.flip(-1), label.flip(-1), K)
    for index, value in enumerate(values, start=1):
        p, y = (pred == index), (label == index)
        total = int(p.sum() + y.sum())
        assert value == pytest.approx(2 * int((p & y).sum()) / total if total else 1.0)


CASES = {
    "a": (grid(0, 1, 1, 2), grid(0, 1, 1, 2)),
    "b": (grid(1, 1, 1, 2), grid(0, 0, 1, 2)),
    "c": (grid(0, 1, 1, 2), grid(0, 1, 1, 0)),
}


def handler_value(reduction: str) -> Any:
    handler = DiceHandler(reduction)
    for pred, label in CASES.values():
        one_hot = [torch.nn.functional.one_hot(x[0].long(), K).movedim(-1, 0).float() for x in (pred, label)]
        handler.update(([one_hot[0]], [one_hot[1]]))
    return handler.compute()


def test_dice_while_training_is_the_mean_over_cases_and_classes() -> None:
    values = torch.tensor([dice_per_class(pred, label, K) for pred, label in CASES.values()])
    assert handler_value("mean") == pytest.approx(float(values.mean()))
    assert handler_value("mean_batch").tolist() == pytest.approx(values.mean(0).tolist())
    assert math.isfinite(handler_value("mean"))
