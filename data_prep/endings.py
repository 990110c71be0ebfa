"""How a command ends on an error that its user can do something about: one line on the error stream, and an exit code.

Whether a path can be read is found out where it is read. The parser would call it a mistyped option, with exit code 2.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperCommand

from data_prep.errors import EnvironmentFault, HybridError, said_by_system
from data_prep.quoting import printable


def fault_of(error: BaseException) -> HybridError | None:
    """The error of our tree that an error is for the user; None for a fault of the program itself."""
    if isinstance(error, HybridError):
        return error
    if isinstance(error, MemoryError):
        return EnvironmentFault("not enough memory. Type: free -h")
    return EnvironmentFault(said_by_system(error)) if isinstance(error, OSError) else None


def told_of(error: Exception, worded: Callable[[str], str] = str) -> int:
    """Tell what ends a command, in one line; its exit code.

    Args:
        error: raised again where it is a fault of the program itself.
        worded: what is printed of a sentence.
    """
    fault = fault_of(error)
    if fault is None:
        raise error
    lines = worded(str(fault)).split("\n")
    print("error: " + "\n".join(map(printable, lines)), file=sys.stderr)  # a name in it may be somebody else's
    return fault.exit_code


@contextmanager
def ending(debug: bool = False, worded: Callable[[str], str] = str) -> Iterator[None]:
    """Around the work of a command; with `debug` every error passes, with its traceback.

    Raises:
        SystemExit: with an exit code, when the error is told.
    """
    try:
        yield
    except Exception as error:
        if debug:
            raise
        raise SystemExit(told_of(error, worded)) from None


class Command(TyperCommand):
    """A command whose paths the parser does not try to read."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        for parameter in self.params:
            descriptor = getattr(parameter, "type_descriptor", None)  # since typer has its own copy of click
            held: tuple[Any, Any] = getattr(parameter, "type", None), getattr(descriptor, "parameter_info", None)
            for kind in held:
                if hasattr(kind, "readable"):
                    kind.readable = False
