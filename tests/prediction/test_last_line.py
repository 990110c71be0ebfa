"""The lines that tell how far a prediction is: few of them, and always the last."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from monai_hybrid.prediction.engine import Predictor


def test_the_last_line_is_no_tick(caplog: pytest.LogCaptureFixture) -> None:
    predictor = Predictor.__new__(Predictor)
    predictor.counts, predictor.bar = {"done": 0, "skipped": 0, "failed": 0}, None
    predictor.state = SimpleNamespace(metrics={}, epoch_length=3)
    with caplog.at_level("INFO", logger="monai_hybrid.predict"):
        for case, what in (("a", "done"), ("b", "skipped"), ("c", "done")):
            predictor._told(case, what, "1.0 s")
    assert [record.getMessage() for record in caplog.records][-1] == "3/3 c: done: 1.0 s"
    assert [getattr(record, "tick", False) for record in caplog.records] == [True, True, False]
