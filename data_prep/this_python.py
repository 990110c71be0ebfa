"""What the Python that runs is called in a line to type: after `pipx` or `uv tool`, `python` is one without our packages."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from data_prep.quoting import quoted


def python() -> str:
    """`python` where a shell starts this one by it, as in an activated environment; else its path."""
    here, found = sys.executable, shutil.which("python")
    if not here or (found is not None and Path(found).parent.samefile(Path(here).parent)):
        return "python"
    return quoted(here)


def install(extra: str) -> str:
    """The line that adds an extra to the installed package: its name is found there, so no index need know it."""
    wanted = f'"monai-hybrid[{extra}]"'
    if not _has_pip():  # environments of uv hold none
        return f"uv pip install --python {quoted(sys.executable)} {wanted}"
    program = python()
    return f"pip install {wanted}" if program == "python" else f"{program} -m pip install {wanted}"


def _has_pip() -> bool:
    """By its record, not by `find_spec`: setuptools takes a search for pip for pip itself, and can then not be imported."""
    try:
        distribution("pip")
    except PackageNotFoundError:
        return False
    return True
