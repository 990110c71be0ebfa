"""The progress bar: updates of the epoch, loss, and the time left of the whole run."""

from __future__ import annotations

import sys
import time
from typing import Any

from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar


class Progress(ProgressBar):
    """Ignite's progress bar with the loss and the time left of the run. A terminal gets a live bar, a log file none."""

    def attach(self, engine: Engine) -> None:
        """Show a bar an epoch; the clock starts with the first update."""
        if not sys.stderr.isatty():
            return
        self.engine = engine
        engine.add_event_handler(Events.STARTED, self._start)
        super().attach(engine, output_transform=self._note)

    def _start(self, engine: Engine) -> None:
        self.started, self.first = time.monotonic(), engine.state.iteration

    def _note(self, output: dict[str, Any]) -> dict[str, Any]:
        state = self.engine.state
        total = state.max_epochs * state.epoch_length
        return {
            "loss": round(float(output["loss"]), 4),
            "left": time_left(time.monotonic() - self.started, state.iteration - self.first, total - state.iteration),
        }


def time_left(elapsed: float, done: int, remaining: int) -> str:
    """Hours, minutes and seconds ("h:mm:ss") until the end, from the seconds that `done` updates took."""
    seconds = round(elapsed / max(done, 1) * remaining)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
