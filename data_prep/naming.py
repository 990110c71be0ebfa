"""How this command names patients, series and files of DICOM: by pseudonyms, or, with --keep-names, as they are."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

from data_prep.errors import HybridError
from data_prep.home import at_home
from data_prep.pseudonyms import VARIABLE, KeyFile

KEEP = "MONAI_HYBRID_KEEP_NAMES"  # how a command tells the processes that it starts


class Naming:
    """The names of one command.

    Args:
        keep: show names as they are. The key file is not touched then.
        key: where pseudonyms come from; None for the user's own file.
    """

    def __init__(self, keep: bool = False, key: KeyFile | None = None) -> None:
        self.keep = keep
        self.key = key or KeyFile()
        self.roots: dict[str, Path] = {}  # absolute -> as the user typed it, which may be shown
        self.given: set[str] = set()  # pseudonyms of this command

    def patient(self, identity: str) -> str:
        """`sub-` and letters and digits: of the form that names of BIDS have, so that it is seen whose a case is.

        Raises:
            ConfigError, EnvironmentFault: see `KeyFile.pseudonym`.
        """
        if self.keep:
            plain = re.sub(r"[^A-Za-z0-9]", "", identity)
            return f"sub-{plain}" if plain == identity else f"sub-{plain}{_hash(identity)[:4]}"
        name = f"sub-{self.key.pseudonym('patient', identity)}"
        self.key.note("patients", name, identity)
        return name

    def series(self, patient: str, uid: str, part: str, row: Any) -> str:
        """A case: `<patient>_ser-<letters and digits>`; `part` tells the stacks of one series apart.

        Raises:
            ConfigError, EnvironmentFault: see `KeyFile.pseudonym`.
        """
        if self.keep:
            return f"{patient}_ser-{_hash(f'{uid}#{part}')[:6]}"
        name = f"{patient}_ser-{self.key.pseudonym('series', f'{uid}#{part}', 6)}"
        self.given.add(name)
        self.key.note("series", name, row)
        return name

    def below(self, root: Path) -> None:
        """Everything below `root`, which the user typed, is shown by a pseudonym from now on."""
        self.roots[_absolute(root)] = root

    def path(self, path: Path) -> Path:
        """A path as it may be shown: below a root, `<root>/file-<letters and digits>`, which the key file explains."""
        whole = _absolute(path)
        root = next((root for root in self.roots if whole.startswith(root.rstrip(os.sep) + os.sep)), None)
        if self.keep or root is None or path.name in self.given:
            return path
        name = f"file-{self.key.pseudonym('file', whole)}"
        self.key.note("files", name, whole)
        self.given.add(name)
        return self.roots[root] / name


def _absolute(path: Path) -> str:
    """The path from the root on, links not followed."""
    return os.path.normpath(path.absolute())


def _save(mine: Naming) -> None:
    """At the end of a process: what cannot be kept is said, and the results stand."""
    try:
        mine.key.save()
    except HybridError as error:
        print(f"warning: {error}", file=sys.stderr)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


_CURRENT: ContextVar[Naming | None] = ContextVar("naming", default=None)


def naming() -> Naming:
    """The names of what runs; outside of `named`, pseudonyms of the user's own key file, whose rows are kept at exit."""
    current = _CURRENT.get()
    if current is not None:
        return current
    return _of_the_process(os.environ.get(KEEP, "") not in ("", "0"), os.environ.get(VARIABLE, ""))


@lru_cache(maxsize=8)
def _of_the_process(keep: bool, stated: str) -> Naming:
    mine = Naming(keep, KeyFile(at_home(stated, f"{VARIABLE}={stated}").absolute()) if stated else None)
    atexit.register(_save, mine)
    return mine


def keep_key_out(folder: Path, makes: bool = False) -> None:
    """Refuse results in a folder in which the key to pseudonyms lies: who gets them would get it. See `KeyFile.refuse_within`.

    Of commands that write one file where the user says (`check --json`, `report --output`, `export`) nothing is asked: the file
    is given away, and not the folder around it, which often is the one that the user works in.

    Raises:
        ConfigError: it lies there; not with --keep-names, which needs no key.
    """
    if not naming().keep:
        naming().key.refuse_within(folder, makes)


@contextmanager
def named(keep: bool = False, key: KeyFile | None = None) -> Iterator[Naming]:
    """The names of what runs inside; an outer one goes on. At the end what is behind the pseudonyms is kept.

    Raises:
        ConfigError, EnvironmentFault: the key file cannot be written.
    """
    outer = _CURRENT.get()
    if outer is not None:
        yield outer
        return
    mine = Naming(keep or os.environ.get(KEEP, "") not in ("", "0"), key)
    token = _CURRENT.set(mine)
    try:
        yield mine
    finally:
        _CURRENT.reset(token)
        mine.key.save()
