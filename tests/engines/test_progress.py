"""The time left is that of the whole run."""

from __future__ import annotations

import pytest

from monai_hybrid.engines.progress import time_left


@pytest.mark.parametrize(
    ("elapsed", "done", "remaining", "expected"),
    [(10.0, 5, 5, "0:00:10"), (60.0, 1, 61, "1:01:00"), (0.0, 0, 7, "0:00:00"), (3.0, 3, 0, "0:00:00")],
)
def test_time_left_goes_on_at_the_speed_so_far(elapsed: float, done: int, remaining: int, expected: str) -> None:
    assert time_left(elapsed, done, remaining) == expected
