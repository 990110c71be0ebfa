"""Links that lead nowhere. Without the readers of `places`: the command line asks before it loads anything."""

from __future__ import annotations

from pathlib import Path

from data_prep.errors import ConfigError
from data_prep.home import at_home
from data_prep.quoting import quoted


def refuse_dead_link(output: Path, option: str = "--output") -> None:
    """Refuse a link to nowhere or to itself, which is no place to write to.

    Raises:
        ConfigError: with what to do.
    """
    place = at_home(output)
    for link in (place, *place.parents):
        if link.is_symlink() and not link.exists():
            raise ConfigError(f"{option} {output}: {link} is a link that leads nowhere. Type: rm {quoted(link)}")
