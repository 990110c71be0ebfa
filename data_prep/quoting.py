"""What others have named, on a screen: a path as a word of a printed command that can be pasted, a text on one line."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def quoted(path: str | Path) -> str:
    """The path with quotes where a shell needs them, and with `./` before a name that begins with `-`.

    `Path` drops a `./` that was typed, and every command takes such a name for an option. Line breaks, directions and other
    signs that a screen does not show as they are come by `printf`, which every POSIX shell has, as the bytes that they are; at
    the end of a name, where a shell drops line breaks of `printf`, in the quotes of bash and zsh, $'...'.
    """
    text = str(path)
    text = f"./{text}" if text.startswith("-") else text
    if text.isprintable():
        return shlex.quote(text)
    if text.endswith("\n"):
        return "$'" + "".join(sign if sign.isprintable() and sign not in "\\'" else _in_bytes(sign) for sign in text) + "'"
    inside = "".join(sign if sign.isprintable() and sign not in "\\'%!" else _in_bytes(sign) for sign in text)
    return f"\"$(printf '{inside}')\""


def _in_bytes(sign: str) -> str:
    """Three octal digits a byte: of hexadecimal ones zsh and bash take a different number."""
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(sign))


def printable(text: str) -> str:
    """The text on one line, with control and direction characters shown as escapes: names come from others."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
