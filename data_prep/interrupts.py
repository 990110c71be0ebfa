"""Signals that end a command: work is taken down in order, with temporary files removed, and the exit code is the shell's.

Without this SIGTERM ends Python on the spot, and what was half-written stays.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, name)
)  # SIGINT is a KeyboardInterrupt already

_watching = [0]  # the process that `end_in_order` was called in


class Ended(KeyboardInterrupt):
    """A signal asked for the end; passes every `except Exception`, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def signal_of(error: KeyboardInterrupt) -> signal.Signals:
    """The signal behind it."""
    return signal.Signals(error.number if isinstance(error, Ended) else signal.SIGINT)


def sentence(error: KeyboardInterrupt) -> str:
    """What to tell: by which signal the command ended."""
    return f"stopped by {signal_of(error).name}; what is written is whole. Type the same command again"


def end_in_order() -> None:
    """Let signals that end a process raise `Ended`; those that somebody has taken over or ignores (nohup) stay theirs."""
    if threading.current_thread() is threading.main_thread():
        _watching[0] = os.getpid()
        for number in ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _raise)


def ignored(number: int) -> bool:
    """Whether whoever started this process wants a signal ignored, as nohup does."""
    return signal.getsignal(number) is signal.SIG_IGN


@contextmanager
def told() -> Iterator[None]:
    """Around a command: a signal ends it in one sentence and the shell's exit code.

    Raises:
        SystemExit: 128 + the signal's number.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        with suppress(OSError):  # the terminal may be gone
            print(f"\n{sentence(error)}", file=sys.stderr, flush=True)
        raise SystemExit(128 + signal_of(error)) from None


def _raise(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _watching[0]:  # a forked helper: the process that started it decides
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        return
    for ending in ENDING:  # the same wish again, or another one, does not disturb the taking down
        signal.signal(ending, signal.SIG_IGN)
    raise Ended(number)
