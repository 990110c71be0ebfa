"""The "quality" of a model's card: made of held-out cases, plain numbers alone (`quality_schema.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from statistics import fmean
from typing import Any

import numpy as np
import torch

from data_prep.evenly import spread
from monai_hybrid.quality.dice_model import LEVEL, fit_structure, predicted_dice
from monai_hybrid.quality.held_out import CLEAN, Measured
from monai_hybrid.quality.reliability import Counts, expected_error
from monai_hybrid.quality.temperature import fit_temperature
from monai_hybrid.quality_schema import FEWEST_PATIENTS

MOST_VALUES = 200  # of a distribution on the card


def make_entry(found: Measured, about: Mapping[str, Any]) -> dict[str, Any]:
    """The "quality" of a card; a structure of too few patients, and probabilities of none, are left out.

    Args:
        found: of `HeldOut.measure`.
        about: "data", "split": where the cases are from.
    """
    by_structure: dict[str, list[dict[str, Any]]] = {}
    for row in found.rows:
        by_structure.setdefault(row["structure"], []).append(row)
    fitted = {name: fit_structure(rows) for name, rows in by_structure.items()}
    entry: dict[str, Any] = {
        **about,
        "fitted": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "patients": len({row["patient"] for row in found.rows}),
        "cases": len({row["case_id"] for row in found.rows}),
        "copies": len({row["copy"] for row in found.rows} - {CLEAN}),
        "level": LEVEL,
        "dice": {name: models for name, models in fitted.items() if models},
    }
    reference = {"denoising_error": _spread(list(found.errors.values())), "predicted_dice": _spread(_predicted(found, entry))}
    calibration = _calibration(found)
    return {**entry, "reference": reference, **({"calibration": calibration} if calibration else {})}


def _predicted(found: Measured, entry: Mapping[str, Any]) -> list[float]:
    """Mean predicted Dice of each case as it is."""
    by_case: dict[str, list[float]] = {}
    for row in found.rows:
        said = predicted_dice(entry, row["structure"], row["signals"]) if row["copy"] == CLEAN else None
        if said:
            by_case.setdefault(row["case_id"], []).append(said[0])
    return [fmean(values) for values in by_case.values()]


def _spread(values: Sequence[float]) -> list[float]:
    """Sorted, four digits, at most `MOST_VALUES` evenly chosen."""
    return spread(sorted(float(f"{value:.4g}") for value in values if np.isfinite(value)), MOST_VALUES)


def _calibration(found: Measured) -> dict[str, Any]:
    """Temperatures where they help, and the expected calibration error on the same voxels; {} with few patients."""
    if len(set(found.patients)) < FEWEST_PATIENTS:
        return {}
    p, classes = np.concatenate(found.p), np.concatenate(found.classes)
    temperature = fit_temperature(p, classes, found.patients)
    counts = Counts(temperature)
    counts.add(torch.as_tensor(p).T, torch.as_tensor(classes))
    before, after = expected_error(counts.before), expected_error(counts.after)
    if before is None or after is None or after > before:  # least cross-entropy need not be least error
        temperature, after = None, before
    errors = {"error_before": before, "error_after": after}
    kept = {} if temperature is None else {"temperature": temperature}
    return {**kept, **{k: round(v, 5) for k, v in errors.items() if v is not None}, "voxels": len(p)}
