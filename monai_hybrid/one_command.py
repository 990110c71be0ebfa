"""A program of one command."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from data_prep.cli import dashed
from data_prep.errors import said_by_system
from data_prep.home import all_at_home
from data_prep.interrupts import end_in_order
from monai_hybrid.errors import EnvironmentFault, HybridError


def run(command: Callable[..., None], name: str) -> None:
    """Run the command line `name`; a signal and our own errors end it in one line and their exit code."""
    end_in_order()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings={"token_normalize_func": dashed})

    @wraps(command)
    def with_homes(**arguments: Any) -> None:
        command(**all_at_home(arguments))

    app.command()(with_homes)
    try:
        app(prog_name=name)
    except HybridError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is None:  # no file's
            raise
        print(f"error: {said_by_system(error)}", file=sys.stderr)
        sys.exit(EnvironmentFault.exit_code)
