"""A path as a word of a command line that is printed, so that it can be pasted as it stands."""

from __future__ import annotations

import shlex
from pathlib import Path


def quoted(path: str | Path) -> str:
    """The path with quotes where a shell needs them, and with `./` before a name that begins with `-`.

    `Path` drops a `./` that was typed, and every command takes such a name for an option.
    """
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
