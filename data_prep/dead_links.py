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
    if link := dead_link(at_home(output)):
        raise ConfigError(f"{option} {output}: {_said(link)}. Type: rm {quoted(link)}")


def dead_link(path: Path) -> Path | None:
    """The link to nowhere or to itself that a path is, or that lies on its way."""
    return next((link for link in (path, *path.parents) if _is_dead(link)), None)


def absent(path: Path, otherwise: str) -> str:
    """Of a path that is not there: where its link points, with what to type; of any other path `otherwise`."""
    link = dead_link(path)
    return otherwise if link is None else f"{_said(link) if link != path else _told(link)}. Type: ls -l {quoted(link)}"


def _is_dead(link: Path) -> bool:
    try:
        return link.is_symlink() and not link.exists()
    except OSError:  # a name that is too long, a folder that nobody may look into
        return False


def _said(link: Path) -> str:
    return f"{link} is {_told(link)}"


def _told(link: Path) -> str:
    target = link.readlink()
    itself = (link.parent / target).absolute() == link.absolute()
    return f"a link that leads nowhere: it points to {'itself' if itself else target}"
