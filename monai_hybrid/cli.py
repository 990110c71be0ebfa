"""`monai-hybrid`: one command for each step. Each is thin: it runs data_prep or a bundle, and prints the line it runs.

Every setting of a bundle is an option here, `--max-epochs` and `--max_epochs` alike. Mistyped names and values are refused
before MONAI is imported.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, which take a while: a signal ends them in a sentence
    from monai_hybrid.launch import take_signals

    take_signals()

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from data_prep.endings import ending
from data_prep.quoting import quoted
from monai_hybrid import __version__
from monai_hybrid.cli_app import app
from monai_hybrid.next_steps import no_model
from monai_hybrid.typed_options import as_in_help

# Each adds its commands, and the help lists them in this order.
# isort: off
import monai_hybrid.cli_data
import monai_hybrid.cli_runs
import monai_hybrid.cli_results
import monai_hybrid.cli_models  # noqa: F401
# isort: on


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"monai-hybrid {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """Segment your own scanner's images from a handful of labelled scans.

    COMMAND --help lists all settings of a command. --max-epochs and --max_epochs are the same.

    \b
    monai-hybrid check /data/my_hospital
    monai-hybrid build /data/my_hospital --output target
    monai-hybrid adapt --data target --model runs/source --output runs/adapted
    monai-hybrid predict /data/new_scans --model runs/adapted --output masks
    """


def main() -> None:
    """Run the command line; errors end in one line and their exit code."""
    with ending(worded=as_in_help):
        try:
            code = app(prog_name="monai-hybrid", standalone_mode=False)
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            sys.exit(usage_error(error))
    sys.exit(code if isinstance(code, int) else 0)


def usage_error(error: Any) -> int:
    """Say what typer found wrong, in one line; without any command it is the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        place = error.ctx.command_path if getattr(error, "ctx", None) else "monai-hybrid"
        said = _one_too_many(error) or error.format_message().rstrip(".")
        missing = type(error).__name__ == "MissingParameter" and getattr(getattr(error, "param", None), "name", "") == "model"
        typer.echo(f"error: {no_model(place)}" if missing else f"error: {said}. Type: {place} --help", err=True)
    return int(error.exit_code)


def _one_too_many(error: Any) -> str:
    """What to say of words beyond a command's arguments; empty for another error."""
    found = re.search(r"unexpected extra arguments?(?:\(s\))? \((.*)\)", error.format_message())
    command = getattr(getattr(error, "ctx", None), "command", None)
    if found is None or command is None:
        return ""
    words = found.group(1)
    if any("--data" in param.opts for param in command.params):
        return f"{words}: a word without an option. A data set is given as --data {words}"
    first = Path(words.split()[0])
    if first.is_file():  # as of images/*.png, of which a shell makes many words
        return f"{first}: more than one file. Give the folder that holds them: {quoted(first.parent)}"
    return f"{words}: more than the command takes. A path that holds spaces needs quotes"


if __name__ == "__main__":
    main()
