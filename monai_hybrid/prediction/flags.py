"""Which predictions a person should look at, and why, in plain words."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.amounts import few, plural
from monai_hybrid.prediction.usual import Usual

SMALLEST_BATCH = 5
FAR = 3.5  # modified z-score of Iglewicz & Hoaglin (1993), "How to detect and handle outliers"
COMPARED = {"entropy_foreground": "unsure over the foreground", "denoising_error": "unlike the images the model knows"}
LIKE_A_MASK = "D207: "  # a check of data_prep
MARK = "compared with the other cases: "


def own_flags(
    volumes: Mapping[str, float],
    remarks: str,
    unit: str = "",
    reference: Any = None,
    scores: Mapping[str, float | None] | None = None,
) -> str:
    """What one case alone shows: structures not found or of an unusual volume, unusual scores, warnings about its file.

    Args:
        volumes: of each structure, in `unit`.
        remarks: the warnings.
        unit: "ml", "mm2", "voxels" or "pixels".
        reference: of the model's card; None: a card without, so nothing is compared.
        scores: the columns of `COMPARED`.
    """
    usual = Usual(reference, unit)
    empty = [name for name, volume in volumes.items() if not volume]
    if len(empty) == len(volumes) > 1:
        found = ["nothing found" + usual.expected(empty)]
    else:
        found = [f"no {', no '.join(empty)} found" + usual.expected(empty)] if empty else []
    found += [said for name, volume in volumes.items() if volume for said in usual.volume(name, volume)]
    found += [said for column, meaning in COMPARED.items() for said in usual.score(column, meaning, (scores or {}).get(column))]
    return "; ".join([*found, *([remarks] if remarks else [])])


def masks_for_scans(rows: Sequence[Mapping[str, Any]]) -> str:
    """What to say of images that look like masks; "" where none does."""
    found = [str(row["case_id"]) for row in rows if row["status"] == "done" and LIKE_A_MASK in str(row["flag"])]
    if not found:
        return ""
    seen = f"{few(found)}: {plural(len(found), 'image')} of a few whole numbers only, as masks have"
    return f"{seen}. If that is what was given, type: monai-hybrid predict SCANS, with the scans that they were drawn on"


def flag_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Flag in place the done cases that stand far above the others, where there are at least five to compare.

    A modified z-score 0.6745 (x - median) / MAD above 3.5; low values are never flagged. A batch that is strange as a whole is
    noticed by the reference of the model's card alone (`own_flags`).
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
