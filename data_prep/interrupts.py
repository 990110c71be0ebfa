"""Signals that end a command: work is taken down in order, with temporary files removed, and the exit code is the shell's.

Without this SIGTERM ends Python on the spot, and what was half-written stays; and Ctrl-C shows where Python happened to be.

A command goes through three times. While it imports, nothing is begun, and a signal ends it at once (`end_at_once`). While it
works, a signal raises `Ended` (`end_in_order`). While Python is taken down, what is written is whole, and it is hardly heard.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, name)
)  # beside SIGINT, which is a KeyboardInterrupt already
ALL = (signal.SIGINT, *ENDING)
# A terminal sends Ctrl-C to every process of a command, and the command line hands on what it gets: seconds in which two
# signals are one wish.
ONE_WISH = 1.0

_watching = [0]  # the process that last took the signals over
_ended_at = [0.0]  # when the first signal came, or the work was done


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


def end_at_once() -> None:
    """For a program's first lines, before its imports: a signal ends it in one sentence, for nothing is begun."""
    _take_over(_leave)


def end_in_order() -> None:
    """Let signals that end a process raise `Ended`; those that somebody has taken over or ignores (nohup) stay theirs."""
    if _take_over(_raise):
        atexit.unregister(_die_silently)
        atexit.register(_die_silently)


def done() -> None:
    """The work is done: one more Ctrl-C changes nothing while Python is taken down, and a later one ends at once."""
    _ended_at[0] = time.monotonic()
    _take_over(_once_more)


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
        _say(error)
        raise SystemExit(128 + signal_of(error)) from None


def _take_over(handler: object) -> bool:
    """Give a handler of ours the signals that are Python's or ours; Python lets only the main thread do so."""
    if threading.current_thread() is not threading.main_thread():
        return False
    _watching[0] = os.getpid()
    for number in ALL:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, _leave, _raise, _once_more):
            signal.signal(number, handler)  # type: ignore[arg-type]
    return True


def _leave(number: int, frame: FrameType | None) -> None:
    if os.getpid() == _watching[0]:
        _say(Ended(number))
    os._exit(128 + number)  # an exception could be swallowed by an import, or be told as its failure


def _raise(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _watching[0]:  # a forked helper: the process that started it decides
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        return
    done()  # the same wish again, or another one, does not disturb the taking down
    raise Ended(number)


def _once_more(number: int, frame: FrameType | None) -> None:
    if time.monotonic() - _ended_at[0] >= ONE_WISH:
        os._exit(128 + number)


def _die_silently() -> None:
    if os.getpid() == _watching[0]:
        for number in ALL:
            if signal.getsignal(number) in (_leave, _raise, _once_more):
                signal.signal(number, signal.SIG_DFL)


def _say(error: KeyboardInterrupt) -> None:
    with suppress(OSError, RuntimeError):  # the terminal may be gone; a signal may come in the midst of a line
        print(f"\n{sentence(error)}", file=sys.stderr, flush=True)
