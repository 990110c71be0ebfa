"""Files of a study that several processes write and an interrupted one finds again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from data_prep.atomic import replace_file

Record = dict[str, Any]


def append(path: Path, record: Record) -> None:
    """Add one line, whole or not at all for a reader."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"), path.open("ab") as handle:
        if handle.tell() and not path.read_bytes().endswith(b"\n"):
            handle.write(b"\n")  # a writer was killed within its line
        handle.write((json.dumps(record) + "\n").encode())
        handle.flush()
        os.fsync(handle.fileno())


def read(path: Path) -> list[Record]:
    """All complete lines; a broken one (the machine stopped while it was written) is left out."""
    records = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def read_json(path: Path) -> Any:
    """The content of a JSON file, {} when there is none."""
    return json.loads(path.read_text()) if path.is_file() else {}


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda temporary: temporary.write_text(json.dumps(content, indent=1) + "\n"))


def digest(content: Any) -> str:
    """Eight characters that change with the content (plain JSON)."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=list).encode()).hexdigest()[:8]


@contextmanager
def claim(path: Path, wait: bool = False) -> Iterator[bool]:
    """Whether this process has the work named by `path`; another one that has it is waited for or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
