"""From signals to a predicted Dice with its interval: a line whose signs are given, and split-conformal residuals.

Few held-out cases carry few numbers. So the line is a ridge regression (`scipy.optimize.lsq_linear`) in which no signal may
count against its meaning: more entropy never raises the predicted Dice. Signals are cut to the range of the fit, so nothing is
extrapolated. The interval is the conformal quantile of residuals of patients left out, divided by how far the prediction
is from 1: good masks scatter less than bad ones (Lei et al., Distribution-free predictive inference, JASA 2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy  # its parts load when they are called

from data_prep.volume import Array
from monai_hybrid.quality_schema import FEWEST_PATIENTS, LINE, SIGNS

# A structure beyond the windows that are looked at has no agreement; a model without the denoising term no error either.
CHOICES = (tuple(SIGNS), ("soft_dice", "entropy", "denoising_error", "volume_off"), ("soft_dice", "entropy"))
LEVEL = 0.9  # of the interval
RIDGE = 1.0
SLACK = 0.02  # of the scatter of a perfect mask
FEWEST_EXAMPLES = 8


def fit_structure(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The lines of one structure: with all signals that its rows have, then with those that fewer cases lack.

    Args:
        rows: {"patient", "dice", "signals": {name: number or None}} each.

    Returns:
        Plain numbers for the card, the model to be tried first first; [] with fewer than three patients or eight rows.
    """
    models: list[dict[str, Any]] = []
    for wanted in CHOICES:
        found = [name for name in wanted if sum(row["signals"].get(name) is not None for row in rows) > len(rows) / 2]
        names = [model["signals"] for model in models]
        whole = [row for row in rows if all(row["signals"].get(name) is not None for name in found)]
        enough = len({row["patient"] for row in whole}) >= FEWEST_PATIENTS and len(whole) >= FEWEST_EXAMPLES
        if found and found not in names and enough:
            models.append(_fit(found, whole))
    return models


def _fit(names: list[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    x = np.array([[row["signals"][name] for name in names] for row in rows], float)
    y = np.array([row["dice"] for row in rows], float)
    patients = np.array([row["patient"] for row in rows])
    left_out = np.empty(len(y))
    for patient in sorted(set(patients)):
        out = patients == patient
        left_out[out] = predicted(_line(names, x[~out], y[~out]), x[out])
    scores = (y - left_out) / (1 + SLACK - left_out)
    return {
        "signals": names,
        **_line(names, x, y),
        "interval": [_rounded(bound) for bound in conformal_bounds(scores)],
        "error": _rounded(float(np.abs(y - left_out).mean())),
        "patients": len(set(patients)),
        "examples": len(y),
    }


def _line(names: Sequence[str], x: Array, y: Array) -> dict[str, Any]:
    """Centre, scale, range, weights and intercept of the standardised signals."""
    centre, scale = x.mean(0), np.maximum(x.std(0), 1e-6)
    z = (x - centre) / scale
    signs = np.array([SIGNS[name] for name in names])
    rows = np.vstack([z, math.sqrt(RIDGE) * np.eye(len(names))])
    bounds = np.where(signs > 0, 0, -np.inf), np.where(signs > 0, np.inf, 0)
    weights = scipy.optimize.lsq_linear(rows, np.append(y - y.mean(), np.zeros(len(names))), bounds).x
    listed = dict(zip(LINE, (centre, scale, x.min(0), x.max(0), weights), strict=True))
    return {**{key: [_rounded(v) for v in values] for key, values in listed.items()}, "intercept": _rounded(float(y.mean()))}


def predicted(line: Mapping[str, Any], x: Array) -> Array:
    """(N, signals) -> (N,) Dice in [0, 1]."""
    cut = np.clip(x, line["lowest"], line["highest"])
    z = (cut - np.asarray(line["centre"])) / np.asarray(line["scale"])
    return np.asarray(np.clip(line["intercept"] + z @ np.asarray(line["weights"]), 0, 1))


def conformal_bounds(scores: Array) -> tuple[float, float]:
    """The lowest and highest residual that `LEVEL` of new ones keep to, by ranks among n + 1; the ends where n is too small.

    `scores` are residuals (n,), Dice.
    """
    ranked, n = np.sort(scores), len(scores)
    beyond = math.floor((n + 1) * (1 - LEVEL) / 2 + 1e-9)
    return float(ranked[max(beyond - 1, 0)]), float(ranked[min(n - beyond, n - 1)])


def predicted_dice(
    entry: Mapping[str, Any] | None, structure: str, signals: Mapping[str, float | None]
) -> tuple[float, float, float] | None:
    """Dice and the ends of its interval; None where the card, or too few signals, do not allow it.

    Args:
        entry: "quality" of the model's card.
        structure: its name.
        signals: of this case and structure.
    """
    for model in ((entry or {}).get("dice") or {}).get(structure, []):
        values = [signals.get(name) for name in model["signals"]]
        if any(value is None for value in values):
            continue
        dice = float(predicted(model, np.array([values], float))[0])
        low, high = (min(max(dice + bound * (1 + SLACK - dice), 0.0), 1.0) for bound in model["interval"])
        return dice, min(low, dice), max(high, dice)
    return None


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
