"""The one way in which result files and folders are written: beside their place, flushed, then named in one step.

What a killed process leaves behind is recognised by its name, `.NAME.HOST-PID.tmp`, and removed by the next run in that folder.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from data_prep.result_files import Known, refuse_other

_HOST = re.sub(r"[^A-Za-z0-9]", "", platform.node())[:20] or "host"
LEFT = re.compile(rf"\..+\.(?:{_HOST}-)?(\d+)(?:-\d+)?\.tmp")  # without a host: of older versions


def neighbour(path: Path) -> Path:
    """Where `path` is made: a hidden name beside it that says whose it is."""
    main = threading.current_thread() is threading.main_thread()
    whose = f"{os.getpid()}" if main else f"{os.getpid()}-{threading.get_ident()}"
    return path.with_name(f".{path.name}.{_HOST}-{whose}.tmp")


def replace_file(path: Path, write: Callable[[Path], Any], ours: Known | None = None) -> None:
    """Write to a temporary neighbour, flush it to the disk, then give it its name in one step.

    Args:
        path: the file.
        write: fills the neighbour.
        ours: how a file of a name that the user chose is known as ours; None: by the table of result files.

    Raises:
        ConfigError: what is there was not written by this program, and is kept.
        OSError: with the final name; what was there before is as it was.
    """
    refuse_other(path, ours)
    temporary = neighbour(path)
    try:
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill beside `path`; it gets that name when all went well, and is removed otherwise.

    Raises:
        OSError: no space or no right, or `path` is there by then.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name)
    temporary = neighbour(path)
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process that had this one's number
    temporary.mkdir()
    try:
        yield temporary
        temporary.rename(path)
        _flush_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Delete what processes of this machine that are no more left half-written in `folder`; of `name` alone if given.

    A folder that cannot be written is left to whoever writes there next.
    """
    for left in folder.glob(f".{name}*.tmp") if folder.is_dir() else ():
        match = LEFT.fullmatch(left.name)
        if match is None or _alive(int(match[1])):
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):
                left.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    """Whether a process of this number runs here; where that cannot be asked, yes."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _flush_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut. Windows opens no folders, and needs none."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
