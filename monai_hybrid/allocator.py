"""Settings of a process that decide its speed: memory that is kept for the next layer, threads that wait without spinning.

A network frees and takes the same hundreds of megabytes at every layer. glibc returns blocks of that size to the system at
once (`mallopt(3)`: M_MMAP_THRESHOLD, M_TRIM_THRESHOLD), and taking them again costs a page fault every 4 KB. The settings are
read when a process starts, so they go into the environment of a child; a process that runs already can ask glibc for the same
by a call. Results do not change; peak memory may rise, and memory is returned when the process ends.

OpenMP's threads spin while they wait for each other at the end of every layer. When another program holds one of the cores,
they spin for whole time slices: two threads beside one busy program were ten times slower than with the passive policy.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Mapping

KEEP_BYTES = 1 << 40  # more than any machine has: nothing is returned
SETTINGS = {"MALLOC_MMAP_THRESHOLD_": str(KEEP_BYTES), "MALLOC_TRIM_THRESHOLD_": str(KEEP_BYTES)}
WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
CHOSEN_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
# Whoever sets one of these, even to nothing, has chosen an allocator.
CHOSEN = ("GLIBC_TUNABLES", "LD_PRELOAD", "MALLOC_")
# malloc.h, mallopt(3): "setting M_TRIM_THRESHOLD to -1 disables trimming completely", M_MMAP_MAX 0 the use of mmap.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def allocator_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """What to add to `environment` (the process's own by default); {} off Linux, off glibc, or where the user has chosen."""
    given = os.environ if environment is None else environment
    chosen = any(name.startswith(CHOSEN) for name in given)
    glibc = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
    return dict(SETTINGS) if glibc and not chosen else {}


def process_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """What to add to the environment of a process that computes: the allocator's settings, and threads that wait passively."""
    given = os.environ if environment is None else environment
    waiting = {} if any(name in given for name in CHOSEN_WAITING) else WAITING
    return {**allocator_environment(given), **waiting}


def keep_memory() -> bool:
    """Let this process keep freed memory from now on; False off Linux, off glibc, or where the user has chosen.

    For a program that was started without the settings and cannot be started anew, such as `python -m monai.bundle run`.
    """
    if not allocator_environment():
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all([mallopt(M_TRIM_THRESHOLD, -1), mallopt(M_MMAP_MAX, 0)])
