"""A program of one command."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from data_prep.cli import dashed
from data_prep.endings import Command, ending
from data_prep.home import all_at_home
from data_prep.interrupts import end_in_order


def run(command: Callable[..., None], name: str) -> None:
    """Run the command line `name`; a signal and our own errors end it in one line and their exit code."""
    end_in_order()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings={"token_normalize_func": dashed})

    @wraps(command)
    def with_homes(**arguments: Any) -> None:
        command(**all_at_home(arguments))

    app.command(cls=Command)(with_homes)
    with ending():
        app(prog_name=name)
