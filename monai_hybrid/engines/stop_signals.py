"""SIGTERM and SIGINT as wishes: the update in progress is finished and saved before the run ends."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any

from monai_hybrid.errors import HybridError

WATCHED = (signal.SIGTERM, signal.SIGINT)


class Stopped(HybridError):
    """A run that ended early because it was asked to. Its exit code is the shell's: 143 for SIGTERM, 130 for SIGINT."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class StopSignals:
    """Remember the first signal in `received`; a second one acts as if nobody watched."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.before: dict[int, Any] = {}

    def watch(self) -> None:
        """Take the signals over. Python lets only the main thread do so; in others nothing happens."""
        self.received = None
        if threading.current_thread() is threading.main_thread() and not self.before:
            self.before = {number: signal.signal(number, self._receive) for number in WATCHED}

    def release(self) -> None:
        """Give the signals back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self.release()
        name = signal.Signals(number).name
        print(f"\n{name}: finishing this update, then saving; once more ends at once", file=sys.stderr, flush=True)
