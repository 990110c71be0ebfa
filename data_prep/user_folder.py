"""The folder where the user is, as a place of modules: `python -m` looks there first, and so takes a `random.py` of the user's.

It imports only what Python has loaded itself, so that it can come before all other imports.
"""

from __future__ import annotations

import os

_ROOT = os.path.realpath(f"{__file__}/../..")


def look_there_last(path: list[str], keep: bool = False) -> None:
    """Let no file or folder of the user's be a module, as one of scans that is called `torch`, or `z3`, which torch asks for.

    A clone that is not installed is found in the folder where the user is, so it stays.

    Args:
        path: `sys.path`, changed.
        keep: look there last, rather than never; not where the environment forbids it (PYTHONSAFEPATH).
    """
    try:
        here = os.path.realpath(".")
    except OSError:  # it is gone
        return
    if here == _ROOT:
        return
    first = path.pop(0) if path and os.path.realpath(path[0]) == here else None
    if keep and here not in path and not os.environ.get("PYTHONSAFEPATH"):
        path.append(first or here)
