"""Work on many cases in several processes, in the order of the cases.

`concurrent.futures` does it; here is what a command needs besides: Ctrl-C is for the command alone, no process outlives it, and
one that the system ends is a sentence.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

from data_prep.errors import ConfigError, EnvironmentFault

SHARE = 16  # so many parcels a process, that none waits long for the last one
MOST = 32  # cases in a parcel
Item = TypeVar("Item")
Result = TypeVar("Result")


def checked_jobs(jobs: int) -> int:
    """The number of processes.

    Raises:
        ConfigError: less than one.
    """
    if jobs < 1:
        raise ConfigError(f"--jobs {jobs}: expected a number of processes, 1 or more. Type: --jobs {os.cpu_count() or 1}")
    return jobs


def each(work: Callable[[Item], Result], items: Sequence[Item], jobs: int = 1) -> Iterator[Result]:
    """`work(item)` of each, in order; with `jobs` above 1 in so many processes, which `work` and items must be able to reach.

    Raises:
        EnvironmentFault: a process was ended, for lack of memory as a rule.
    """
    jobs = min(jobs, len(items))
    if jobs <= 1:
        yield from map(work, items)
        return
    # New processes, not forks: a program of the user's, with PyTorch loaded, has threads that a fork would find held.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin)
    try:
        yield from pool.map(work, items, chunksize=max(1, min(MOST, len(items) // (SHARE * jobs))))
    except BrokenProcessPool as error:
        raise EnvironmentFault(f"one of {jobs} processes was ended, for lack of memory as a rule. Type: --jobs 1") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """At the start of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
