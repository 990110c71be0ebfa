"""The study of updates on one image: what counts as right of the stop, means over patients, and the table."""

from __future__ import annotations

import pytest

from benchmarks.one_image import Forced, chosen, summary, table
from monai_hybrid.few_shot.signals import Seen


def row(patient: str, before: float, after: float, kept: str) -> dict:
    return {
        "case_id": "c",
        "patient": patient,
        "before": before,
        "after": after,
        "kept": kept,
        "seconds": 1.0,
        "with_updates": 3.0,
    }


def test_the_stop_is_right_where_it_keeps_the_better_mask_and_means_are_over_patients() -> None:
    rows = [
        row("a", 0.5, 0.7, "adapted"),
        row("a", 0.5, 0.4, "original"),
        row("b", 0.8, 0.9, "original"),
        row("c", 0.6, 0.6, "adapted"),
    ]
    found = summary(rows)
    assert (found["patients"], found["cases"], found["differ"], found["stop_right"], found["kept_adapted"]) == (3, 4, 3, 2, 2)
    assert found["before"] == pytest.approx((0.5 + 0.8 + 0.6) / 3, abs=1e-4)
    assert found["after"] == pytest.approx((0.55 + 0.9 + 0.6) / 3, abs=1e-4)
    assert found["kept"] == pytest.approx((0.6 + 0.8 + 0.6) / 3, abs=1e-4)
    assert found["gain"]["after"][0] == pytest.approx(0.05) and len(found["gain"]["after"]) == 3
    assert summary(rows[3:])["gain"]["after"] == [0.0]
    line = table([{"model": "m", "data": "d", "updates": 10, "rate": 1e-3, **found}]).splitlines()[2]
    assert line.startswith("| m, d | 10, 0.001 | 3, 4 | 0.633 | 0.683 | +0.050 [") and "| 2 of 4 | 2 of 3 | 1.0, 3.0 |" in line


def test_forced_weights_are_kept_and_what_the_stop_would_keep_is_known() -> None:
    stop, bad, good = Forced(), Seen(0.5, 1.0, None, 0, {}), Seen(0.9, 0.5, None, 0, {})
    assert stop([bad], [good], denoising_alone=True).kept == "adapted" == stop.would
    assert stop([good], [bad], denoising_alone=True).kept == "adapted" and stop.would == "original"


def test_the_first_patients_with_slices_spread_over_each() -> None:
    cases = [{"case_id": f"{p}{i}", "patient": p} for p in "cab" for i in range(5)]
    assert [case["case_id"] for case in chosen(cases, 2, 2)] == ["a0", "a4", "b0", "b4"]
    assert len(chosen(cases, 9, 0)) == 15
