"""How many updates a run has: whole epochs, or a number that ends within the last one."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events


def total_updates(updates: int | None, max_epochs: int, updates_per_epoch: int) -> int:
    """Updates of a run: `updates` where they end within its last epoch, else all of `max_epochs` epochs."""
    within = updates is not None and -(-updates // updates_per_epoch) == max_epochs
    return updates if updates is not None and within else max_epochs * updates_per_epoch


def updates_of(state: Any) -> int:
    """Updates of the run of an engine with this state; `LastUpdate` has told it where the last epoch is a short one."""
    return total_updates(getattr(state, "updates", None), state.max_epochs, state.epoch_length)


class LastUpdate:
    """End the last epoch of a run at its last update; what follows an epoch follows this one too.

    Args:
        updates: of the run; None, or a number that does not end within the last epoch, leaves all epochs whole.
    """

    def __init__(self, updates: int | None) -> None:
        self.updates = updates

    def attach(self, engine: Engine) -> None:
        """Keep the length where checkpoints and progress find it, before the run starts, and watch each update."""
        engine.state.updates = self.updates
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.end)

    def end(self, engine: Engine) -> None:
        """End the epoch where it is a short one."""
        update = engine.state.iteration
        if update == updates_of(engine.state) and update % (engine.state.epoch_length or 1):
            engine.terminate_epoch()
