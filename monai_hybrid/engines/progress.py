"""How far a run is: a bar on a terminal, elsewhere a line now and then, with the time left."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar

from data_prep.progress import SECONDS, Ticker, time_left
from monai_hybrid.engines.length import updates_of
from monai_hybrid.screen import TICK

logger = logging.getLogger("monai_hybrid.training")


class Progress(ProgressBar):
    """Ignite's progress bar with the loss and the time left of the run. Where there is no terminal, a line is logged instead.

    Args:
        interval: updates between two lines.
        settings: of Ignite's class.
    """

    def __init__(self, interval: int = 10, **settings: Any) -> None:
        super().__init__(**settings)
        self.interval = interval

    def attach(self, engine: Engine) -> None:
        """Show a bar an epoch, or log lines; the clock starts with the first update."""
        self.engine = engine
        engine.add_event_handler(Events.STARTED, self._start)
        if sys.stderr.isatty():
            super().attach(engine, output_transform=self._note)
        else:
            engine.add_event_handler(Events.ITERATION_COMPLETED(every=self.interval), self._line)

    def _start(self, engine: Engine) -> None:
        self.started, self.first = time.monotonic(), engine.state.iteration

    def _note(self, output: dict[str, Any]) -> dict[str, Any]:
        state = self.engine.state
        total = updates_of(state)
        if self.pbar is not None:  # of an epoch; the last may be a short one
            self.pbar.total = min(state.epoch_length, total - (state.epoch - 1) * state.epoch_length)
        return {
            "loss": round(float(torch.as_tensor(output["loss"]).detach()), 4),
            "left": time_left(time.monotonic() - self.started, state.iteration - self.first, total - state.iteration),
        }

    def _line(self, engine: Engine) -> None:
        state, note = engine.state, self._note(engine.state.output)
        total = updates_of(state)
        logger.info("update %d/%d  loss %.4f  left %s", state.iteration, total, note["loss"], note["left"], extra=TICK)


class CaseProgress:
    """Log how far a validation or an evaluation is, at most every `SECONDS`; a short one says nothing.

    Args:
        what: the first word of the line.
    """

    def __init__(self, what: str = "validation") -> None:
        self.what = what

    def attach(self, engine: Engine) -> None:
        """Start the clock with each run."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._line)

    def _start(self, engine: Engine) -> None:
        self.ticker = Ticker(f"{self.what}: cases done", engine.state.epoch_length or 0, SECONDS)

    def _line(self, engine: Engine) -> None:
        self.ticker.step()
