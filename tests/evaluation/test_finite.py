"""NaN is caught before argmax makes a class of it."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from monai_hybrid.errors import DataError, ModelFileError
from monai_hybrid.evaluation import FinitePredictions


def state(image: float = 0.0, pred: float = 0.0) -> SimpleNamespace:
    """A batch of two; the second holds these values in one voxel."""
    x, y = torch.zeros(2, 1, 4, 4), torch.zeros(2, 3, 4, 4)
    x[1, 0, 2, 2], y[1, 1, 2, 2] = image, pred
    return SimpleNamespace(state=SimpleNamespace(output={"image": x, "pred": y}, batch={"case_id": ["first", "second"]}))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_prediction_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ModelFileError, match="case second: the prediction holds NaN or Inf though the image does not"):
        FinitePredictions()(state(pred=value))
    with pytest.raises(DataError, match="case second: the image holds NaN or Inf"):
        FinitePredictions()(state(image=value, pred=value))


def test_finite_predictions_pass() -> None:
    FinitePredictions()(state(image=3.0, pred=-60.0))
