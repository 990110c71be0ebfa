"""Which scans to label next, from the `suggestion.json` that `monai-hybrid suggest` leaves: the chosen ones first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.amounts import amount, plural
from data_prep.cells import number_in
from monai_hybrid.reporting.tables import NONE, ROWS_SHOWN, Cell, Column, Table
from monai_hybrid.reporting.verdict import suggested_sentence

UNPROVEN = "No order was shown to beat a random draw."


def suggestions(content: Mapping[str, Any], quality: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The table of scans, and what is to be said of it.

    Args:
        content: of `suggestion.json`.
        quality: rows of the folder's `quality.csv`; a scan's predicted Dice and flag stand beside it.
    """
    by_case = {str(row.get("case_id")): row for row in quality}
    known = [_beside(scan, by_case.get(str(scan["case_id"]), {})) for scan in content["scans"]]
    beside = {
        title: column
        for title, column in (("Predicted Dice", "predicted_dice"), ("Flag", "flag"))
        if any(row.get(column) not in (None, "", "-") for row in known)
    }
    rows = []
    for scan, row in list(zip(content["scans"], known, strict=True))[:ROWS_SHOWN]:
        place = str(scan["label_next"])
        cells = [Cell(str(scan["case_id"]), str(scan["case_id"])), _cell(place)]
        cells += [_cell(str(scan[name])) for name in ("entropy_foreground", "denoising_error")]
        rows.append([*cells, *(_cell(row.get(column) or "", "why" if column == "flag" else "") for column in beside.values())])
    titles = ("Label next", "Entropy of the foreground", "Denoising error")
    columns = [Column("Scan", False), *map(Column, titles), *(Column(title, title != "Flag") for title in beside)]
    left = len(content["scans"]) - len(rows)
    note = f"The first {len(rows)} of {len(content['scans'])} scans; all of them are in suggestion.csv." if left else ""
    return {
        "table": Table("Scans without a label, the chosen ones first", columns, rows, note, sortable=True),
        "chosen": suggested_sentence(content),
        "said": _said(content),
    }


def _beside(scan: Mapping[str, Any], row: Mapping[str, str]) -> Mapping[str, str]:
    """What a prediction says of the scan; without one the predicted Dice is that of the suggestion."""
    own = str(scan.get("predicted_dice") or "-")
    return {"predicted_dice": own, **row} if own != "-" else row


def _said(content: Mapping[str, Any]) -> list[str]:
    failed = list(content.get("failed") or [])
    labelled = len(content.get("labelled") or [])
    said = [f"Seen by the model {content['model']}. {UNPROVEN}"]
    said += [f"{plural(labelled, 'scan')} with a label counted as known."] * bool(labelled)
    if failed:
        first = f"{failed[0]['case_id']}: {failed[0]['why']}"
        said.append(
            f"{plural(len(failed), 'scan')} could not be read and {'is' if len(failed) == 1 else 'are'} left out: {first}"
        )
    return said


def _cell(text: str, mark: str = "") -> Cell:
    """A number is sorted as one; nothing is a dash."""
    number = number_in(text)
    if number is None:
        return Cell(text, text, mark) if text not in ("", "-") else Cell(NONE)
    return Cell(amount(number), number)
