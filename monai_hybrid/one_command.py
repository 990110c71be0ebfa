"""A program of one command."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from monai_hybrid.errors import HybridError


def run(command: Callable[..., None], name: str) -> None:
    """Run the command line `name`; our own errors end in one line and their exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    try:
        app(prog_name=name)
    except HybridError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
