"""What the commands of `monai-hybrid` share: the program that they are added to, options of several, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from data_prep.cli import dashed
from data_prep.home import at_home
from monai_hybrid.command_options import Group, Words
from monai_hybrid.commands import Command, execute
from monai_hybrid.next_steps import as_next
from monai_hybrid.setting_checks import check_there, model_in

app = typer.Typer(
    cls=Group,
    help="Segment your own scanner's images from a handful of labelled scans.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"token_normalize_func": dashed, "max_content_width": 110},
)
IMAGES = "where the images of a prediction lie: moved, or a folder that is not yours"
MODEL = "a file, the folder of a run, or a name of monai-hybrid models"
Model = Annotated[str, typer.Option("--model", help=f"model: {MODEL}", metavar="FILE")]
Needed = Annotated[str, typer.Option("--output", help="folder for the results", metavar="FOLDER")]


def run(words: list[str], following: Callable[[], str] | None = None) -> None:
    """Run `python WORDS` and end with its exit code; `following` as of `finish`."""
    finish(Command(words), following)


def finish(command: Command, following: Callable[[], str] | None = None) -> None:
    """Run a command and end with its exit code; when all went well, say what to type next, as the folders are by then."""
    code = execute(command)
    if code == 0 and following is not None and (line := as_next(following())):
        typer.echo(line)
    raise typer.Exit(code)


def model_there(model: str) -> None:
    """Look for the file of `--model`, which may be the folder of a run.

    Raises:
        ConfigError, ModelFileError: it is empty, cut off, or not there.
    """
    check_there("model", str(model_in(at_home(model)) or model), "--model")


def one_of(option: str, meaning: str, *words: str) -> Any:
    """An option that takes one of these words; the shell completes them."""
    return typer.Option(option, help=meaning, metavar="|".join(words), autocompletion=lambda: list(words))


EXAMPLES = "Examples:"


def command(name: str, *examples: str, cls: type[Words] = Words, hidden: bool = False) -> Callable[..., Any]:
    """Add a command, with examples below its options."""
    lines = "\n".join(f"  monai-hybrid {example}" for example in examples)
    return app.command(name, cls=cls, hidden=hidden, epilog=f"\b\n{EXAMPLES}\n{lines}")
