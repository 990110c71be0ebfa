"""How the command lines of this room end."""

from __future__ import annotations

import sys
from collections.abc import Callable

from monai_hybrid.errors import HybridError


def ended(work: Callable[[], object]) -> int:
    """Do the work; 0, or the exit code of our own error, which is told in one line."""
    try:
        work()
    except HybridError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0
