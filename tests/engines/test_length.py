"""A run of N updates has N, where the last epoch is a short one too."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events

from monai_hybrid.engines import LastUpdate, Progress
from monai_hybrid.engines.length import total_updates, updates_of


@pytest.mark.parametrize(
    ("updates", "epochs", "expected"), [(10, 1, 10), (60, 3, 60), (75, 3, 75), (None, 3, 75), (350, 3, 75), (10, 3, 75)]
)
def test_updates_count_where_they_end_within_the_last_epoch(updates: int | None, epochs: int, expected: int) -> None:
    assert total_updates(updates, epochs, 25) == expected


def ran(updates: int | None, epochs: int, per_epoch: int) -> dict[str, Any]:
    """An engine that counts what happened to it."""
    engine = Engine(lambda engine, batch: {"loss": torch.tensor(0.5, requires_grad=True)})
    seen: dict[str, Any] = {"updates": 0, "epochs": [], "completed": False, "of": None}
    LastUpdate(updates).attach(engine)
    Progress(interval=1).attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: seen["epochs"].append(engine.state.iteration))
    engine.add_event_handler(Events.COMPLETED, lambda: seen.update(completed=True, of=updates_of(engine.state)))
    seen["updates"] = engine.run(range(per_epoch), max_epochs=epochs).iteration
    return seen


@pytest.mark.parametrize(
    ("updates", "epochs", "ends"), [(3, 1, [3]), (7, 2, [5, 7]), (10, 2, [5, 10]), (None, 2, [5, 10]), (99, 2, [5, 10])]
)
def test_the_short_epoch_ends_like_every_other(updates: int | None, epochs: int, ends: list[int]) -> None:
    assert ran(updates, epochs, 5) == {"updates": ends[-1], "epochs": ends, "completed": True, "of": ends[-1]}


def test_lines_and_bar_count_to_the_last_update(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        ran(7, 2, 5)
    assert [line.split("  ")[0] for line in caplog.messages if line.startswith("update")][-1] == "update 7/7"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    ran(7, 2, 5)
    assert "2/2" in capsys.readouterr().err
