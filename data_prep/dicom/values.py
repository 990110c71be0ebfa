"""Values of DICOM elements as plain Python: absent and empty ones are None or "", whatever the file put there."""

from __future__ import annotations

import math
from typing import Any

from data_prep.volume import ReadError

LONGEST = 256  # characters of a text that are kept
LARGEST = (
    2.0**30
)  # of any number that is reckoned with: no length in mm, slope or intercept comes near, and no product overflows
LARGEST_WHOLE = 2**53  # of a count; sizes are held to the file and to memory elsewhere


def texts(dataset: Any, keyword: str) -> tuple[str, ...]:
    """All values of an element as text.

    Raises:
        ReadError: "damaged", it is of a kind that there is not.
    """
    try:
        value = dataset.get(keyword)
    except Exception as error:  # pydicom converts a value when it is asked for, and has no one error class
        raise ReadError("damaged", f"its {keyword} cannot be read ({type(error).__name__})") from error
    if value is None:
        return ()
    several = value if not isinstance(value, str | bytes) and hasattr(value, "__iter__") and _is_list(value) else [value]
    return tuple(str(one)[:LONGEST].strip(" \0") for one in several if str(one).strip(" \0"))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) or type(value).__name__ == "MultiValue"


def text(dataset: Any, keyword: str) -> str:
    """The first value as text, "" when there is none."""
    return next(iter(texts(dataset, keyword)), "")


def numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """That many numbers of a size that occurs; None when absent, of another count, or not such numbers."""
    try:
        found = tuple(float(one) for one in texts(dataset, keyword))
    except ValueError:
        return None
    return found if len(found) == count and all(abs(one) < LARGEST for one in found) else None


def number(dataset: Any, keyword: str, default: float | None = None) -> float | None:
    """One number; the default when absent.

    Raises:
        ReadError: "damaged", there is something else.
    """
    found = text(dataset, keyword)
    try:
        value = float(found) if found else default
    except ValueError:
        value = math.nan
    if value is not None and not abs(value) < LARGEST:
        raise ReadError("damaged", f"its {keyword} is not a possible number; expected one below 2^30")
    return value


def whole(dataset: Any, keyword: str, default: int = 0) -> int:
    """One whole number; the default when absent.

    Raises:
        ReadError: "damaged", there is something else.
    """
    found = text(dataset, keyword)
    try:
        value = int(found) if found else default
    except ValueError:
        value = LARGEST_WHOLE
    if not abs(value) < LARGEST_WHOLE:
        raise ReadError("damaged", f"its {keyword} is not a possible whole number")
    return value
