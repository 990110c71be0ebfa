"""Commands that this process starts and waits for: what ends the one ends the other, in order."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from data_prep.interrupts import ALL, ignored
from monai_hybrid.launch import as_launched, is_of_module

HEARD_WITHIN = 1.0  # seconds
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


def run_child(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a command to its end, handing on the signals that this process gets; a child that saves first is waited for.

    `subprocess.run` kills its child a quarter of a second after Ctrl-C, and a parent that ends by SIGTERM leaves it running.

    `python -m MODULE` is started by `monai_hybrid.launch`, so that a signal is answered in a sentence while it imports.
    Until that runs, signals are held back: one that came while Python itself starts would be told with a traceback.

    Returns:
        The exit code, as a shell gives it: 128 + the signal's number for a child that a signal ended.
    """
    is_module = is_of_module(command[1:])
    full = [command[0], *as_launched(command[1:])]
    children: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(number)

    before = {}
    with _held(is_module):  # until there is a child to hand them to
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.signal(number, hand_on) for number in ALL if not ignored(number)}
        child = subprocess.Popen(full, env=environment, preexec_fn=end_with_parent())
        children.append(child)
    try:
        code = _ended(child)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _ended(child: subprocess.Popen[bytes]) -> int:
    """As `child.wait()`, but that a signal which comes just before the waiting begins is heard within a second.

    Python answers signals between its own steps. One that comes after the last of them and before the system's call does not
    interrupt that call, and would be handed on when the child has ended.
    """
    if hasattr(os, "pidfd_open"):
        with suppress(OSError):
            ending = os.pidfd_open(child.pid)
            try:
                while not select.select([ending], [], [], HEARD_WITHIN)[0]:
                    pass
            finally:
                os.close(ending)
    return child.wait()


@contextmanager
def _held(wanted: bool) -> Iterator[None]:
    """Signals wait; a process that is started meanwhile begins with them waiting."""
    if not wanted or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> Callable[[], object] | None:
    """On Linux the child gets SIGTERM when this process is killed, so that it saves and ends as well."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:  # it was killed before it could be asked for
            os.kill(os.getpid(), signal.SIGTERM)

    return ask
