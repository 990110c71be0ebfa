"""Which predictions a person should look at, and why, in plain words."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

SMALLEST_BATCH = 5
FAR = 3.5  # modified z-score of Iglewicz & Hoaglin (1993), "How to detect and handle outliers"
COMPARED = {"entropy_foreground": "unsure over the foreground", "denoising_error": "unlike the images the model knows"}
MARK = "compared with the other cases: "


def own_flags(volumes: Mapping[str, float], remarks: str) -> str:
    """What one case alone shows: structures that were not found, and warnings about its file."""
    empty = [name for name, volume in volumes.items() if not volume]
    found = ["nothing found" if len(empty) == len(volumes) > 1 else f"no {', no '.join(empty)} found"] if empty else []
    return "; ".join([*found, *([remarks] if remarks else [])])


def flag_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Flag in place the done cases that stand far above the others, where there are at least five to compare.

    A modified z-score 0.6745 (x - median) / MAD above 3.5; low values are never flagged. The card of a model holds no reference
    values, so a batch that is strange as a whole is not noticed here.
    """
    done = [row for row in rows if row["status"] == "done"]
    for row in done:
        row["flag"] = "; ".join(part for part in str(row["flag"]).split("; ") if part and not part.startswith(MARK))
    for column, meaning in COMPARED.items():
        numbers = [(row, float(row[column])) for row in done if _is_number(row[column])]
        if len(numbers) < SMALLEST_BATCH:
            continue
        median = statistics.median(value for _, value in numbers)
        spread = statistics.median(abs(value - median) for _, value in numbers)
        for row, value in numbers:
            if 0.6745 * (value - median) > FAR * max(spread, 0.01 * abs(median), 1e-6):
                told = f"{MARK}{meaning} ({column} {value:.3g}, median {median:.3g})"
                row["flag"] = "; ".join([*([row["flag"]] if row["flag"] else []), told])


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
