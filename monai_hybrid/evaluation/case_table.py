"""The per-case table of an evaluation, `cases.csv`: written, and read back with the right types."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.atomic import replace_file
from data_prep.cells import harmless_row, restored_row
from data_prep.quoting import quoted
from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.status import ABSENT, INVENTED, METRICS, MISSED, OK

COLUMNS = ("case_id", "patient", "class", *METRICS, "label_voxels", "pred_voxels", "label_ml", "pred_ml", "status")
Row = dict[str, Any]


def write_cases(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A row a case and class; what is undefined is an empty cell. Replaces `path` in one step.

    A case whose patient is not known is a patient of its own, and its case id stands in that column.
    """

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, COLUMNS)
            writer.writeheader()
            writer.writerows(map(harmless_row, rows))

    replace_file(path, write)


def read_cases(folder: Path) -> list[Row]:
    """The rows of `cases.csv` in `folder`; of the older `dice.csv` (Dice only) when there is no other.

    A table without patients (older ones) takes each case for its own. In both a structure absent from
    label and prediction has no score, whatever the older file says.

    Raises:
        DataError: neither file, a column missing, a cell that is no number, or a row that is there twice.
    """
    path = next((folder / name for name in ("cases.csv", "dice.csv") if (folder / name).is_file()), None)
    if path is None:
        inside = folder / "eval"
        hint = f". Give {quoted(inside)}" if (inside / "cases.csv").is_file() else ""
        raise DataError(f"{folder}: no cases.csv; expected the output of monai-hybrid evaluate{hint}")
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = [_typed(restored_row(row)) for row in csv.DictReader(handle)]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a table in UTF-8 ({error}); evaluate again") from error
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise DataError(f"{path}: not a table of evaluate.json ({type(error).__name__}: {error})") from error
    keys = [(row["case_id"], row["class"]) for row in rows]
    twice = next((key for key in keys if keys.count(key) > 1), None) if len(set(keys)) < len(keys) else None
    if twice:
        raise DataError(f"{path}: case {twice[0]}, class {twice[1]} appears twice; expected once")
    return rows


def check_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A table that evaluate.json wrote passes; one that was edited or cut may not.

    Raises:
        DataError: no case, a score out of its range, or a row that is missing.
    """
    if not rows:
        raise DataError(f"{path}: holds no case; evaluate again")
    for row in rows:
        _check_row(row, f"{path}: case {row['case_id']}, class {row['class']}")
    expected = len({row["case_id"] for row in rows}) * len({row["class"] for row in rows})
    if len(rows) != expected:
        raise DataError(f"{path}: {len(rows)} rows, expected {expected}, one for each case and class; evaluate again")


def _check_row(row: Mapping[str, Any], where: str) -> None:
    """Raises: DataError: an unknown status, or a score out of its range."""
    if row["status"] not in (OK, MISSED, INVENTED, ABSENT):
        raise DataError(f"{where}: status {row['status']!r}; expected ok, missed, invented or absent")
    scores = {metric: row[metric] for metric in METRICS if metric in row} if row["status"] != ABSENT else {}
    if scores.get("nsd", 0) is None and scores.get("hd95", 0) is None:  # annotated in part
        scores = {"dice": row["dice"]}
    for metric, value in scores.items():
        if value is None or not math.isfinite(value) or value < 0 or (metric != "hd95" and value > 1):
            raise DataError(f"{where}: {metric} is {value}; expected a number{'' if metric == 'hd95' else ' from 0 to 1'}")


def _typed(raw: Mapping[str, str]) -> Row:
    row: Row = {"case_id": raw["case_id"], "patient": raw.get("patient") or raw["case_id"], "class": raw["class"]}
    row |= {name: int(raw[name]) for name in ("label_voxels", "pred_voxels")}
    row["status"] = raw.get("status") or status_of(row["label_voxels"], row["pred_voxels"])
    numbers = [name for name in (*METRICS, "label_ml", "pred_ml") if name in raw]
    row |= {name: float(raw[name]) if raw[name] else None for name in numbers}
    if row["status"] == ABSENT:
        row |= {name: None for name in METRICS if name in raw}
    return row


def status_of(label_voxels: int, pred_voxels: int) -> str:
    """One of ok, missed, invented, absent."""
    if label_voxels and pred_voxels:
        return OK
    return MISSED if label_voxels else INVENTED if pred_voxels else ABSENT


def file_name(case_id: str) -> str:
    """`<case_id>.npz`, where the case's slice lies; signs other than letters, digits, `.`, `_` and `-` become `_`.

    A digest keeps apart the names that are changed so.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", case_id).lstrip(".") or "_"
    return f"{safe}.npz" if safe == case_id else f"{safe}-{hashlib.sha256(case_id.encode()).hexdigest()[:8]}.npz"
