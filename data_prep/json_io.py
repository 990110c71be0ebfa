"""JSON files: read strictly, written whole or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from data_prep.atomic import replace_file
from data_prep.dead_links import absent, dead_link
from data_prep.disk import look_at, needing
from data_prep.errors import DataError, DataListError, EnvironmentFault, said_by_system
from data_prep.result_files import Known

PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
HALF = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def load_json(path: Path) -> Any:
    """Read a JSON file, refusing repeated keys and non-numbers.

    Raises:
        DataListError: missing file, not JSON, a repeated key, NaN or Infinity, half of a surrogate pair.
        EnvironmentFault: the system refuses to read it.
    """
    if path.exists() and not path.is_file():
        raise _bad(path, "a folder or a special file; expected a JSON file")
    try:
        text = path.read_bytes().decode("utf-8-sig")  # files from Windows may begin with a byte order mark
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        if half := half_character(text):
            raise _BadJsonError(f"{half} is half of a character; expected both halves of it")
        return content
    except (FileNotFoundError, IsADirectoryError) as error:
        said = absent(path, "there is no such file. Type: monai-hybrid build --help")
        raise DataListError("D501", f"{path}: {said}", str(path)) from error
    except OSError as error:
        if dead_link(path):
            raise DataListError("D501", f"{path}: {absent(path, '')}", str(path)) from error
        raise EnvironmentFault(said_by_system(error)) from error
    except UnicodeDecodeError as error:
        raise _bad(path, f"not a text file in UTF-8 ({error.reason} at byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise _bad(path, f"not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise _bad(path, "not a description of data: nested too deeply") from error
    except _BadJsonError as error:
        raise _bad(path, str(error)) from error
    except ValueError as error:  # whole numbers of thousands of digits
        raise _bad(path, f"not a description of data: {str(error).split(';')[0]}") from error


def half_character(text: str) -> str | None:
    """The first half of a surrogate pair alone in the text of a JSON, as its escape: nothing can print it, or write it."""
    pairs = PAIR.sub("", text.replace("\\\\", ""))
    found = HALF.search(pairs)
    return found[0] if found else None


def _bad(path: Path, seen: str) -> DataListError:
    return DataListError("D501", f"{path}: {seen}", str(path))


class _BadJsonError(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise _BadJsonError(f"the key {key!r} appears twice in one object; expected it once")
        content[key] = value
    return content


def _no_constant(word: str) -> float:
    raise _BadJsonError(f"{word} is not a JSON number; expected a finite number")


def dump_json(content: Any, path: Path, ours: Known | None = None) -> None:
    """Write JSON to a temporary file beside `path`, then move it there in one step.

    Raises:
        ConfigError: a file of somebody else's is there; `ours` as in `replace_file`.
        DataError: a path or name in it is no Unicode, as of files from an old system.
        EnvironmentFault: no space, no right, no such folder.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        around = ascii(text[max(0, error.start - 30) : error.end + 10])
        raise DataError(
            f"{path}: cannot be written: a name holds bytes that are no UTF-8, {around}; rename that file or folder with "
            "letters, digits, - and _ only: mv OLD NEW"
        ) from error
    write_atomically(path, data, ours)


def write_atomically(path: Path, data: bytes, ours: Known | None = None) -> None:
    """Write bytes so that `path` holds either its old content or all of the new.

    Raises:
        ConfigError: a file of somebody else's is there; `ours` as in `replace_file`.
        EnvironmentFault: no space, no right, no such folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with needing(len(data), path):
            replace_file(path, lambda temporary: temporary.write_bytes(data), ours)
    except OSError as error:
        raise EnvironmentFault(f"{path}: cannot be written: {error.strerror}. Type: {look_at(error, path.parent)}") from error
