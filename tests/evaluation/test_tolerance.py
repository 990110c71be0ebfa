"""The tolerance of the surface Dice follows from the voxels, and says so."""

from __future__ import annotations

import pytest

from monai_hybrid.evaluation.tolerance import choose_tolerance


@pytest.mark.parametrize(
    ("spacing", "length"),
    [
        ((0.15, 0.15, 0.15), 0.45),
        ((0.1, 0.1, 0.5), 0.51),
        ((0.02, 0.02), 0.06),
        ((1.0, 1.0, 1.0), 2.0),
        ((0.7, 0.7, 5.0), 2.0),
        ((0.4, 0.4, 3.0), 2.0),
        ((1.4, 1.4), 2.0),
        ((0.5, 0.5, 0.5), 1.5),
    ],
    ids=str,
)
def test_two_millimetres_but_no_more_than_three_voxels(spacing: tuple[float, ...], length: float) -> None:
    assert choose_tolerance(None, "mm", spacing).length == pytest.approx(length)


def test_it_says_where_it_comes_from() -> None:
    assert choose_tolerance(None, "mm", (0.15,) * 3).reason == "3 voxels of 0.15 mm, because the usual 2 mm are 13 of them"
    assert choose_tolerance(None, "mm", (1.0,) * 3).reason == "the usual 2 mm"
    assert choose_tolerance(None, "pixels", (1.0, 1.0)).reason == "2 pixels, because the files state no mm"
    given = choose_tolerance(2, "mm", (0.15,) * 3)
    assert (given.length, given.reason) == (2.0, "set with --nsd_tolerance")
