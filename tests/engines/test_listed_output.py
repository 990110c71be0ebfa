"""MONAI's way to read a loss works behind `ListedOutput`, and fails without it."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine, Events
from monai.handlers import from_engine

from monai_hybrid.engines import ListedOutput


@pytest.mark.parametrize("listed", [True, False])
def test_monais_handlers_find_one_loss(listed: bool) -> None:
    engine = Engine(lambda engine, batch: {"loss": torch.tensor(float(batch)), "pred": torch.zeros(2, 1)})
    dictionaries: list[float] = []
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: dictionaries.append(float(engine.state.output["loss"])))
    if listed:
        ListedOutput().attach(engine)
    seen: list[object] = []
    engine.add_event_handler(
        Events.ITERATION_COMPLETED, lambda: seen.append(from_engine(["loss"], first=True)(engine.state.output))
    )
    engine.run([1, 2], max_epochs=1)
    assert dictionaries == [1.0, 2.0]
    assert seen == ([torch.tensor(1.0), torch.tensor(2.0)] if listed else [(torch.tensor(1.0),), (torch.tensor(2.0),)])
