"""The lines that tell how far a prediction is: few of them, and always the last."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from monai_hybrid.prediction.engine import Predictor
from monai_hybrid.prediction.reasons import commonest


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ([("a", "in/a.png: it is 2D.")], "a: in/a.png: it is 2D"),
        ([("a", "a.png: 2 x 3 pixels"), ("b", "b.png: 7 x 9 pixels")], "all for one reason, such as a: a.png: 2 x 3 pixels"),
        ([("a", "x: cut"), ("b", "in/b.nii: 2D"), ("c", "in/c.nii: 2D")], "2 for one reason, such as b: in/b.nii: 2D"),
        ([("a", "cut"), ("b", "empty")], "the first, a: cut"),
    ],
    ids=["one", "all alike", "most alike", "none alike"],
)
def test_the_commonest_reason_of_failed_cases(reasons: list[tuple[str, str]], said: str) -> None:
    assert commonest(reasons) == said


def test_the_last_line_is_no_tick(caplog: pytest.LogCaptureFixture) -> None:
    predictor = Predictor.__new__(Predictor)
    predictor.counts, predictor.bar = {"done": 0, "skipped": 0, "failed": 0}, None
    predictor.state = SimpleNamespace(metrics={}, epoch_length=3)
    with caplog.at_level("INFO", logger="monai_hybrid.predict"):
        for case, what in (("a", "done"), ("b", "skipped"), ("c", "done")):
            predictor._told(case, what, "1.0 s")
    assert [record.getMessage() for record in caplog.records][-1] == "3/3 c: done: 1.0 s"
    assert [getattr(record, "tick", False) for record in caplog.records] == [True, True, False]
