"""How far a long loop is: a line every half minute, so that nobody waits before a silent screen."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

SECONDS = 30.0
Item = TypeVar("Item")
logger = logging.getLogger("data_prep.progress")


def show() -> None:
    """Let a command print these lines on stderr."""
    logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())


class Ticker:
    """Counts steps and logs a line at most every `seconds`; a short loop says nothing.

    Args:
        what: what is counted: "cases read".
        total: number of steps.
        seconds: between two lines.
    """

    def __init__(self, what: str, total: int, seconds: float = SECONDS) -> None:
        self.what, self.total, self.seconds, self.done = what, total, seconds, 0
        self.started = self.last = time.monotonic()

    def step(self) -> None:
        """One more is done."""
        self.done += 1
        self.at(self.done)

    def at(self, done: int) -> None:
        """So many are done."""
        now = time.monotonic()
        if done < self.total and now - self.last >= self.seconds:
            self.last = now
            left = time_left(now - self.started, done, self.total - done)
            logger.info("%s: %d of %d, left %s", self.what, done, self.total, left)


def told(items: Iterable[Item], what: str, seconds: float = SECONDS, total: int | None = None) -> Iterator[Item]:
    """The items, while a `Ticker` tells how many are done; `total` of what has no length."""
    ticker = Ticker(what, len(items) if isinstance(items, Sized) else total or 0, seconds)
    for item in items:
        yield item
        ticker.step()


def time_left(elapsed: float, done: int, remaining: int) -> str:
    """Hours, minutes and seconds ("h:mm:ss") until the end, from the seconds that `done` steps took."""
    seconds = round(elapsed / max(done, 1) * remaining)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
