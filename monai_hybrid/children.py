"""Commands that this process starts and waits for: what ends the one ends the other, in order."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

from data_prep.interrupts import ENDING, ignored

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


def run_child(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a command to its end, handing on the signals that this process gets; a child that saves first is waited for.

    `subprocess.run` kills its child a quarter of a second after Ctrl-C, and a parent that ends by SIGTERM leaves it running.

    Returns:
        The exit code, as a shell gives it: 128 + the signal's number for a child that a signal ended.
    """
    child = subprocess.Popen(command, env=environment, preexec_fn=_end_with_parent())

    def hand_on(number: int, frame: FrameType | None) -> None:
        if child.poll() is None:
            child.send_signal(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        watched = [number for number in (signal.SIGINT, *ENDING) if not ignored(number)]
        before = {number: signal.signal(number, hand_on) for number in watched}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _end_with_parent() -> Callable[[], object] | None:
    """On Linux the child gets SIGTERM when this process is killed, so that it saves and ends as well."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
