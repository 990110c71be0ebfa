"""Predicted Dice in `quality.csv`: its cells, the flag of a case that is worse than all held-out ones, and `trust.json`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from data_prep.amounts import amount
from data_prep.json_io import dump_json
from data_prep.result_files import refuse_other
from monai_hybrid.prediction.table import QualityTable
from monai_hybrid.quality import predicted_dice, strange_batch

Predicted = dict[str, tuple[float, float, float]]  # by structure: Dice, and the ends of its interval
FEWEST_USUAL = 10  # held-out cases, for the flag of a single case
TRUST = "trust.json"
logger = logging.getLogger("monai_hybrid.predict")


def predictions(quality: Mapping[str, Any], signals: Mapping[str, Mapping[str, float | None]]) -> Predicted:
    """Of each structure that was found and whose signals allow it."""
    told = {name: predicted_dice(quality, name, of) for name, of in signals.items()}
    return {name: said for name, said in told.items() if said is not None}


def prediction_cells(predicted: Predicted, structures: Sequence[str]) -> dict[str, Any]:
    """The cells of a case, by column; None where nothing is predicted."""
    cells: dict[str, Any] = {"predicted_dice": mean_dice(predicted)}
    for name in structures:
        said = predicted.get(name)
        cells[f"predicted_dice_{name}"] = None if said is None else round(said[0], 4)
        cells[f"predicted_interval_{name}"] = None if said is None else f"{said[1]:.2f} to {said[2]:.2f}"
    return cells


def mean_dice(predicted: Predicted) -> float | None:
    """Over the structures; None where nothing is predicted."""
    return round(fmean(said[0] for said in predicted.values()), 4) if predicted else None


def low_prediction(predicted: Predicted, quality: Mapping[str, Any]) -> list[str]:
    """Why the predicted Dice of a case is odd, or nothing: it is lower than on every held-out case of the card.

    Of n usual cases one in n + 1 is the lowest, so that is how often a usual case is flagged.
    """
    usual = (quality.get("reference") or {}).get("predicted_dice") or []
    dice = mean_dice(predicted)
    if dice is None or len(usual) < FEWEST_USUAL or dice >= min(usual):
        return []
    worst = min(predicted, key=lambda name: predicted[name][0])
    _, low, high = predicted[worst]
    where = f" (lowest: {worst}, {low:.2f} to {high:.2f})" if len(predicted) > 1 else f" ({low:.2f} to {high:.2f})"
    return [
        f"predicted Dice {amount(dice)}{where}, lower than on all {len(usual)} held-out cases of the model, from "
        f"{amount(min(usual))}; 1 of {len(usual) + 1} usual cases is flagged so"
    ]


def write_trust(table: QualityTable, quality: Mapping[str, Any]) -> None:
    """`trust.json` beside the table: whether the batch is strange as a whole. Nothing for a card without held-out cases."""
    reference = quality.get("reference") or {}
    if not any(reference.values()):
        return
    done = [row for row in table.own if row["status"] == "done"]
    batch = {name: [float(row[name]) for row in done if _is_number(row.get(name))] for name in reference}
    found = strange_batch(batch, reference)
    if found["strange"]:
        logger.warning("%s", found["said"])
    path = table.path.with_name(TRUST)
    refuse_other(path)
    about = {key: quality.get(key) for key in ("data", "split", "patients", "cases", "level")}
    dump_json({"format_version": 1, "trust": "prediction", "fitted_on": about, "batch": found}, path)


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True
