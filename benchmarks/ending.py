"""How the command lines of this room end."""

from __future__ import annotations

import sys
from collections.abc import Callable

from data_prep.interrupts import told
from monai_hybrid.errors import EnvironmentFault, HybridError


def ended(work: Callable[[], object]) -> int:
    """Do the work; 0, or the exit code of our own error or of the machine's, which is told in one line; so is a signal."""
    try:
        with told():
            work()
    except HybridError as error:
        return _failed(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        there = f"{sys.executable} has no package {error.name}"
        return _failed(f'{there}; type: {sys.executable} -m pip install ".[benchmark]"', EnvironmentFault.exit_code)
    except OSError as error:
        if error.filename is None:
            raise
        return _failed(f"{error.filename}: cannot be read or written: {error.strerror}", EnvironmentFault.exit_code)
    return 0


def _failed(sentence: str, code: int) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return code
