"""The errors a user may see: one small tree, each with an exit code."""

from __future__ import annotations

import os
from pathlib import Path

from data_prep.quoting import quoted


class HybridError(Exception):
    """An error with a message for the user: what, where, seen, expected, what to type. Shown without a traceback."""

    exit_code = 1


class ConfigError(HybridError):
    """A setting, an argument or a configuration file is wrong."""

    exit_code = 2


class DataError(HybridError):
    """A data set, an image or a label cannot be used as it is."""

    exit_code = 3


class DataListError(DataError):
    """The list or description of a data set is wrong, before any image is read. `code` is that of its check (D5xx)."""

    def __init__(self, code: str, message: str, file: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.file = file


class ModelFileError(HybridError):
    """A weights file is missing, damaged, or belongs to another network."""

    exit_code = 4


class EnvironmentFault(HybridError):
    """The machine says no: disk, memory, permission, or a missing package."""

    exit_code = 5


class TrainingFault(HybridError):
    """Training cannot go on, for example because the loss is no longer finite."""

    exit_code = 1


def said_by_system(error: OSError) -> str:
    """What to print of a file or folder that the system does not give."""
    said = f"{error.filename or 'a file'}: the system says: {error.strerror or error}"
    return f"{said}. Type: {_look(error)}" if isinstance(error.filename, str | Path) else said


def _look(error: OSError) -> str:
    """The line that shows whose file it is; where its folder hides it, that of the folder."""
    path = Path(error.filename)
    shown = (place for place in (path, *path.parents) if os.path.lexists(place))
    seen = next(shown, path) if isinstance(error, PermissionError) else path
    return f"ls {'-ld' if os.path.isdir(seen) else '-l'} {quoted(seen)}"  # noqa: PTH112 - Path's own raises where it is hidden
