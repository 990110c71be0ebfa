"""The time left is that of the whole run; without a terminal there are lines."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
import torch
from ignite.engine import Engine

from data_prep import progress
from data_prep.progress import Ticker, time_left, told
from monai_hybrid.engines import CaseProgress, Progress


@pytest.mark.parametrize(
    ("elapsed", "done", "remaining", "expected"),
    [(10.0, 5, 5, "0:00:10"), (60.0, 1, 61, "1:01:00"), (0.0, 0, 7, "0:00:00"), (3.0, 3, 0, "0:00:00")],
)
def test_time_left_goes_on_at_the_speed_so_far(elapsed: float, done: int, remaining: int, expected: str) -> None:
    assert time_left(elapsed, done, remaining) == expected


def trained(interval: int, updates: int, epochs: int) -> None:
    """An engine whose loss is 0.5, with our progress."""
    engine = Engine(lambda engine, batch: {"loss": torch.tensor(0.5, requires_grad=True)})
    Progress(interval=interval).attach(engine)
    engine.run(range(updates), max_epochs=epochs)


def test_without_a_terminal_a_line_says_update_loss_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        trained(interval=2, updates=3, epochs=2)
    lines = [line for line in caplog.messages if line.startswith("update")]
    assert [line.split("  left")[0] for line in lines] == [f"update {n}/6  loss 0.5000" for n in (2, 4, 6)]
    assert lines[-1].endswith("left 0:00:00")


def test_on_a_terminal_there_is_a_bar_and_no_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with caplog.at_level(logging.INFO):
        trained(interval=1, updates=2, epochs=1)
    assert not [line for line in caplog.messages if line.startswith("update")]
    assert "loss=0.5" in capsys.readouterr().err


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds; each look at the clock is ten later."""
    now = [0.0]

    def look() -> float:
        now[0] += 10.0
        return now[0]

    monkeypatch.setattr(progress.time, "monotonic", look)
    return now


def test_a_long_validation_says_how_far_it_is_twice_a_minute(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(lambda engine, batch: None)
    CaseProgress("evaluation").attach(engine)
    with caplog.at_level(logging.INFO):
        engine.run(range(8), max_epochs=1)
    lines = [line for line in caplog.messages if line.startswith("evaluation")]
    assert lines == ["evaluation: cases done: 3 of 8, left 0:00:50", "evaluation: cases done: 6 of 8, left 0:00:20"]


def test_a_short_loop_says_nothing_and_gives_all_its_items(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert list(told("abc", "cases read")) == ["a", "b", "c"]
    assert caplog.messages == []


def test_preparing_volumes_is_told(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    from monai.transforms import Compose, Identityd

    from monai_hybrid.engines import ReplayableDataset

    cases: list[dict[str, Any]] = [{"a": torch.zeros(1)} for _ in range(5)]
    with caplog.at_level(logging.INFO):
        ReplayableDataset(cases, Compose([Identityd("a")]), progress=False, num_workers=None)
    assert caplog.messages == ["volumes prepared: 3 of 5, left 0:00:20"]


def test_windows_of_one_case_count_too(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    ticker = Ticker("case a: windows", 90)
    with caplog.at_level(logging.INFO):
        for done in (10, 20, 30, 90):
            ticker.at(done)
    assert caplog.messages == ["case a: windows: 30 of 90, left 0:01:00"]
