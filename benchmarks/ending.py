"""How the command lines of this room end."""

from __future__ import annotations

import sys
from collections.abc import Callable

from data_prep.endings import told_of
from data_prep.interrupts import told
from monai_hybrid.errors import EnvironmentFault


def ended(work: Callable[[], object]) -> int:
    """Do the work; 0, or the exit code of our own error or of the machine's, which is told in one line; so is a signal."""
    try:
        with told():
            work()
    except ModuleNotFoundError as error:
        there = f"{sys.executable} has no package {error.name}"
        return told_of(EnvironmentFault(f'{there}; type: {sys.executable} -m pip install ".[benchmark]"'))
    except Exception as error:
        return told_of(error)
    return 0
