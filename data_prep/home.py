"""A path that a person typed, with a home folder in the place of its tilde: a shell leaves `--output=~/masks` as it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.errors import ConfigError


def at_home(path: str | Path, shown: str = "") -> Path:
    """The path with the home folder for `~` or `~NAME` at its start; any other path, and a file that is called so, as it is.

    `shown` is what the message calls it; "" for the path.

    Raises:
        ConfigError: nobody of that name is known here.
    """
    expanded = Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises RuntimeError
    first = expanded.parts[0] if expanded.parts else ""
    if first.startswith("~") and not os.path.lexists(first):
        who = f"no user is called {first[1:]!r} on this machine" if first[1:] else "no home folder is known on this machine"
        raise ConfigError(f"{shown or path}: {who}. Give the whole path, from / on")
    return expanded


def all_at_home(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a command with `at_home` of each that is a path.

    Raises:
        ConfigError: see `at_home`.
    """
    return {name: at_home(value) if isinstance(value, Path) else value for name, value in arguments.items()}
