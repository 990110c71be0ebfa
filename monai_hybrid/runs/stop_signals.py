"""Signals that end a training as wishes: the update in progress is finished and saved before the run ends.

SIGTERM (a scheduler, `kill`), SIGINT (Ctrl-C), SIGUSR1 (what Slurm sends before a limit, `--signal=USR1@120`) and SIGHUP (the
terminal was closed). Exit codes are the shell's: 143, 130, 138, 129.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from data_prep.interrupts import ENDING, ignored
from monai_hybrid.errors import HybridError

# A scheduler signals every process of a job, and the command line hands on what it gets: seconds in which two are one wish.
ONE_WISH = 1.0


class Stopped(HybridError):
    """A run that ended early because it was asked to. Its exit code is the shell's: 128 + the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class StopSignals:
    """Remember the first signal in `received`; one that comes later than `ONE_WISH` acts as if nobody watched."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.received_at, self.watching = 0.0, os.getpid()
        self.before: dict[int, Any] = {}

    def watch(self) -> None:
        """Take the signals over. Python lets only the main thread do so; in others nothing happens."""
        self.received, self.watching = None, os.getpid()
        if threading.current_thread() is threading.main_thread() and not self.before:
            watched = (signal.SIGINT, *(number for number in ENDING if not ignored(number)))
            self.before = {number: signal.signal(number, self._receive) for number in watched}

    def release(self) -> None:
        """Give the signals back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.watching:  # a loader process, forked: the training decides
            return
        now = time.monotonic()
        if self.received is not None:
            if now - self.received_at >= ONE_WISH:
                self.release()
                os.kill(os.getpid(), number)
            return
        self.received, self.received_at = number, now
        name = signal.Signals(number).name
        with contextlib.suppress(OSError):  # the terminal may be gone
            print(f"\n{name}: finishing this update, then saving; a second one ends it at once", file=sys.stderr, flush=True)
