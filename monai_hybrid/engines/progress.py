"""The progress bar: updates, loss and time left, over the whole run."""

from __future__ import annotations

import sys
from typing import Any

from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar


class Progress(ProgressBar):
    """Ignite's progress bar over all updates of the run, with the loss. A terminal gets a live bar, a log file none."""

    def attach(self, engine: Engine) -> None:
        """One bar from the first update to the last, so that the time left is that of the run."""
        if sys.stderr.isatty():
            super().attach(
                engine,
                output_transform=_loss,
                event_name=Events.ITERATION_COMPLETED,
                closing_event_name=Events.COMPLETED,
            )


def _loss(output: dict[str, Any]) -> dict[str, float]:
    return {"loss": float(output["loss"])}
