"""Cells of CSV files that a spreadsheet would take for a formula: an apostrophe before them, which our own readers take off.

File names, and with them case ids, come from others: `=HYPERLINK(...).png` is a name like any other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

# At the start of a cell, and after what some spreadsheets split a cell at.
_STARTS = r"(^|[;\t\r\n|])"
_SIGNS = r"[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]"  # the last four: the same signs in full width
_FORMULA = re.compile(rf"{_STARTS}('*{_SIGNS})")
_ESCAPED = re.compile(rf"{_STARTS}'('*{_SIGNS})")
_NUMBER = re.compile(r"-|[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?", re.IGNORECASE)


def harmless(value: Any) -> Any:
    """A text that no spreadsheet calculates; numbers, as numbers or as text, and a lone dash stay what they are."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return _FORMULA.sub(r"\1'\2", value)


def restored(text: Any) -> Any:
    """What `harmless` was given."""
    return _ESCAPED.sub(r"\1\2", text) if isinstance(text, str) else text


def harmless_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with harmless cells, and headings."""
    return {harmless(name): harmless(value) for name, value in row.items()}


def restored_row(row: Mapping[Any, Any]) -> dict[Any, Any]:
    """A row as it was before it was written; the keys of csv.DictReader may be None."""
    return {restored(name): restored(value) for name, value in row.items()}


def number_in(text: str) -> float | None:
    """The finite number in a cell; None where there is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
