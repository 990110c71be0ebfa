"""Names that tell nobody who a patient is, and the one file that does: the user keeps it, and shares it with no one.

A pseudonym is a keyed hash (HMAC-SHA256, RFC 2104). Its key is random and lies in that file alone, so that nobody can try all
patient numbers of a hospital. With the same file the same patient has the same pseudonym, in every export and every command.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_prep.atomic import replace_file
from data_prep.errors import ConfigError, EnvironmentFault
from data_prep.home import at_home
from data_prep.quoting import quoted

VARIABLE = "MONAI_HYBRID_KEY_FILE"
FORMAT_VERSION = 1
ABOUT = (
    "Who is behind the pseudonyms of monai-hybrid. Keep this file, share it with no one: without it nobody can look them up."
)
KINDS = ("patients", "series", "files")
WAIT = 60  # seconds for another run that holds the file; it does so for milliseconds
Rows = dict[str, dict[str, Any]]


def default_file() -> Path:
    """The user's key file: `MONAI_HYBRID_KEY_FILE`, else pseudonyms.json where programs keep a user's data.

    Raises:
        ConfigError: it names the home of nobody.
        EnvironmentFault: the user has no home folder.
    """
    stated = os.environ.get(VARIABLE)
    if stated:
        return at_home(stated, f"{VARIABLE}={stated}").absolute()
    base = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_DATA_HOME")
    try:
        folder = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise EnvironmentFault(f"there is no home folder for the key to pseudonyms. {_ELSEWHERE}") from error
    return folder / "monai-hybrid" / "pseudonyms.json"


_ELSEWHERE = f"Type: export {VARIABLE}=FILE (a file that you keep), or add --keep-names"


class KeyFile:
    """The secret and the rows of one key file. Nothing is read or made before the first pseudonym is asked for.

    Rows are kept in memory until `save`. A run that is killed loses no pseudonym: each follows from the secret, which is on the
    disk before the first one is given.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._secret: bytes | None = None
        self._new: Rows = {kind: {} for kind in KINDS}

    @property
    def path(self) -> Path:
        """Where it lies; a link is followed, so that it stays one."""
        return (self._path or default_file()).resolve()

    def pseudonym(self, kind: str, identity: str, length: int = 10) -> str:
        """`length` letters and digits (5 bits each) for an identity.

        Raises:
            ConfigError: the key file is damaged.
            EnvironmentFault: it cannot be read or made.
        """
        if self._secret is None:
            with self._locked():
                content = self._read()
                self._secret = bytes.fromhex(content["secret"]) if content else secrets.token_bytes(32)
                if not content:
                    self._write(self._content({}))
        digest = hmac.digest(self._secret, f"{kind}\0{identity}".encode("utf-8", "surrogateescape"), "sha256")
        return base64.b32encode(digest).decode().lower()[:length]

    def note(self, kind: str, pseudonym: str, row: Any) -> None:
        """Keep what is behind a pseudonym; `kind` is one of `KINDS`."""
        self._new[kind][pseudonym] = row

    def save(self) -> None:
        """Add the new rows to the file, whatever other runs have added meanwhile.

        Raises:
            ConfigError: the file is damaged, or has another secret now.
            EnvironmentFault: it cannot be written.
        """
        if not any(self._new.values()):
            return
        with self._locked():
            there = self._read()
            if there and self._secret and there["secret"] != self._secret.hex():
                raise ConfigError(f"{self.path}: another key was put here while this command ran. Run it again")
            rows = {kind: {**there.get(kind, {}), **self._new[kind]} for kind in KINDS}
            if any(rows[kind] != there.get(kind, {}) for kind in KINDS):
                self._write(self._content(rows))
        self._new = {kind: {} for kind in KINDS}

    def behind(self, name: str) -> list[str]:
        """Lines about a pseudonym: of a patient its ID and series, of a series its folder and UID, of a file its path.

        Raises:
            ConfigError: nothing of this name is in the file, or it is damaged.
        """
        rows = self._read()
        known = {kind: rows.get(kind, {}) for kind in KINDS}
        case = name.removesuffix("_seg")
        if name in known["files"]:
            return [str(known["files"][name])]
        if case in known["series"]:
            return [f"{key}: {value}" for key, value in dict(known["series"][case]).items() if value]
        if name in known["patients"]:
            own = [f"{one}: {row.get('folder')}" for one, row in known["series"].items() if one.startswith(f"{name}_")]
            return [f"patient: {known['patients'][name]}", *own]
        raise ConfigError(f"{self.path}: no pseudonym {name!r}. It is of another key file if {VARIABLE} was set then")

    def known(self, kind: str) -> set[str]:
        """The pseudonyms of a kind that the file and this command know.

        Raises:
            ConfigError: the file is damaged.
        """
        return {*self._read().get(kind, {}), *self._new[kind]}

    def refuse_within(self, folder: Path, makes: bool = False) -> None:
        """Keep the key out of a folder that others will be given.

        Args:
            folder: of results; it need not be there.
            makes: whether the command makes a key where there is none.

        Raises:
            ConfigError: it lies there, or would.
        """
        try:
            path = self.path
        except EnvironmentFault:  # no home folder, so that there is no key
            return
        if path.is_relative_to(folder.resolve()) and (makes or self._stated or path.exists()):
            move = f"mv {quoted(path)} FILE; " if path.exists() else ""
            raise ConfigError(
                f"{path}: the key to pseudonyms may not lie among results, {folder}. Give the results a folder of their own, "
                f"or keep the key in a place of yours: {move}export {VARIABLE}=FILE"
            )

    @property
    def _stated(self) -> bool:
        return self._path is not None or bool(os.environ.get(VARIABLE))

    def _content(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        secret = (self._secret or b"").hex()
        return {"format_version": FORMAT_VERSION, "about": ABOUT, "secret": secret, **{k: rows.get(k, {}) for k in KINDS}}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        path = self.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(path.with_name(f".{path.name}.lock"), timeout=WAIT, mode=0o600):
                yield
        except Timeout as error:
            raise EnvironmentFault(f"{path}: another program has held it for {WAIT} s. {_ELSEWHERE}") from error
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or error
            raise EnvironmentFault(f"{path}: the key to pseudonyms cannot be kept here: {reason}. {_ELSEWHERE}") from error

    def _read(self) -> dict[str, Any]:
        """The content; {} when there is no file. A damaged one is never replaced: every pseudonym would change."""
        if self.path.exists() and not self.path.is_file():  # a pipe would be waited for without end
            raise ConfigError(f"{self.path}: a folder or a special file, expected a key file of pseudonyms. {_ELSEWHERE}")
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            content = json.loads(raw)
            sound = content["format_version"] == FORMAT_VERSION and len(bytes.fromhex(content["secret"])) == 32
            sound = sound and all(isinstance(content.get(kind, {}), dict) for kind in KINDS)
        except (ValueError, KeyError, TypeError, RecursionError):
            sound = False
        if not sound:
            away = f"mv {quoted(self.path)} {quoted(f'{self.path}.old')}"
            raise ConfigError(
                f"{self.path}: not a key file of pseudonyms. Copy it back from a backup; to begin anew, with others: {away}"
            )
        return dict(content)

    def _write(self, content: Mapping[str, Any]) -> None:
        data = (json.dumps(content, indent=1, ensure_ascii=True) + "\n").encode()
        replace_file(self.path, lambda temporary: _write_private(temporary, data))


def _write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone may read, from its first byte on."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
