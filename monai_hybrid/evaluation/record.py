"""Small JSON files that runs leave, such as `summary.json`; those of strangers may be of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.json_io import load_json
from monai_hybrid.errors import DataError

LARGEST = 4_000_000  # bytes: all of it would go into a page


def read_record(path: Path) -> dict[str, Any] | None:
    """A JSON object; None when there is no such file.

    Raises:
        DataError: too large, damaged, or something else than an object.
    """
    if not path.is_file():
        return None
    size = path.stat().st_size
    if size > LARGEST:
        limit = f"{LARGEST / 1e6:.0f} MB, as our runs write it"
        raise DataError(f"{path}: holds {size / 1e6:.1f} MB; expected at most {limit}. Make it anew, or move it away")
    content = load_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}; expected a JSON object {{...}}")
    return content
