"""Means with their spread and their counts, against values worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from monai_hybrid.evaluation.summary import summarize


def row(case: str, name: str, dice: float | None, status: str = "ok", patient: str | None = None) -> dict[str, Any]:
    return {"case_id": case, "patient": patient, "class": name, "status": status, "dice": dice}


def test_no_rows_have_no_summary_and_a_metric_that_no_row_has_is_left_out() -> None:
    assert summarize([]) == {}
    assert list(summarize([row("a", "liver", 0.5)])) == ["dice"]


def test_of_a_class_and_of_all() -> None:
    """Liver 0.9, 0.5 and missed; spleen 0.7, absent and invented. Patient P has two cases."""
    rows = [
        row("a", "liver", 0.9, patient="P"), row("a", "spleen", 0.7, patient="P"),
        row("b", "liver", 0.5, patient="P"), row("b", "spleen", None, "absent", "P"),
        row("c", "liver", 0.0, "missed"), row("c", "spleen", 0.0, "invented"),
    ]  # fmt: skip
    dice = summarize(rows)["dice"]
    assert list(dice) == ["all", "liver", "spleen"]
    liver, spleen, both = dice["liver"], dice["spleen"], dice["all"]
    assert (liver["mean"], liver["mean_ok"], liver["median"]) == pytest.approx((1.4 / 3, 0.7, 0.5))
    assert (liver["min"], liver["max"]) == (0, 0.9) and liver["sd"] == pytest.approx(0.4509, abs=1e-4)
    assert [liver[k] for k in ("cases", "n", "patients", "undefined", "missed", "invented")] == [3, 3, 2, 0, 1, 0]
    assert (spleen["mean"], spleen["mean_ok"]) == pytest.approx((0.35, 0.7))
    assert [spleen[k] for k in ("cases", "n", "patients", "undefined", "missed", "invented")] == [3, 2, 2, 1, 0, 1]
    assert both["mean"] == pytest.approx((0.8 + 0.5 + 0.0) / 3) and both["mean_ok"] == pytest.approx(0.65)
    assert [both[k] for k in ("cases", "n", "patients", "undefined", "missed", "invented")] == [3, 3, 2, 0, 1, 1]
    assert liver["interval"] is not None and liver["interval"][0] == 0 and liver["interval"][1] == pytest.approx(0.7)


def test_what_the_number_of_cases_does_not_allow_is_none() -> None:
    one = summarize([row("a", "liver", 0.9)])["dice"]["liver"]
    assert one["mean"] == one["median"] == 0.9 and one["sd"] is None and one["interval"] is None
    none = summarize([row("a", "liver", None, "absent")])["dice"]["liver"]
    assert [none[k] for k in ("mean", "mean_ok", "median", "min", "max", "n")] == [None] * 5 + [0]
    two = summarize([row("a", "liver", 0.9), row("b", "liver", 0.7)])["dice"]["liver"]
    assert two["sd"] == pytest.approx(0.2 / 2**0.5) and two["interval"] == pytest.approx((0.7, 0.9))
