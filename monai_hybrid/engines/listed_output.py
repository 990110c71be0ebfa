"""The output of an update as MONAI's own handlers read it."""

from __future__ import annotations

from ignite.engine import Engine, Events


class ListedOutput:
    """Hand the output of an update to later handlers as a list of one dictionary.

    Handlers that MONAI and its applications append, as `--tracking` does, take the loss by `from_engine(["loss"], first=True)`.
    It expects the list of a trainer that decollates, and makes a tuple of a dictionary's value. Decollating itself would take
    every batch apart for that one number.
    """

    def attach(self, engine: Engine) -> None:
        """Attach it after the handlers that read the dictionary."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        if isinstance(engine.state.output, dict):
            engine.state.output = [engine.state.output]
