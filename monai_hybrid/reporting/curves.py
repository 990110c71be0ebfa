"""The figures of a report: what training did over its epochs, and how each case fared from run to run; drawn by `charts.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from monai_hybrid.evaluation.summary import ALL
from monai_hybrid.reporting.charts import lines, paired_points
from monai_hybrid.reporting.inputs import Evaluation
from monai_hybrid.reporting.verdict import Comparison, dice_by_case

# Heading, lines, names of the axes, range of y.
Chart = tuple[str, Mapping[str, Sequence[tuple[float, float]]], str, str, "tuple[float, float] | None"]
TERMS = {
    "loss": "total",
    "image": "image (denoising)",
    "mask_noisy": "mask, noisy input",
    "mask_clean": "mask, clean input",
    "taught": "mask of the teacher",
}


def curves(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Loss terms, validation Dice, and the mask loss over noise levels; those that the history has.

    Returns:
        Heading and SVG of each.
    """
    losses = {TERMS[name]: points for name in TERMS if (points := _points(history, name))}
    if list(losses) == ["total", TERMS["mask_clean"]] and losses["total"] == losses[TERMS["mask_clean"]]:
        del losses["total"]  # the only term is the loss
    found: list[Chart] = [("Loss by epoch", losses, "epoch", "loss", None)]
    classes = list(dict.fromkeys(name for record in history for name in record.get("val_dice") or {}))
    dice = {"mean": _points(history, "val_mean_dice")} if len(classes) != 1 else {}
    dice |= {name: _points([{**r, **(r.get("val_dice") or {})} for r in history], name) for name in classes}
    found.append(("Validation Dice by epoch", dice, "epoch", "Dice", (0.0, 1.0)))
    found.append(
        (
            "Mask loss by noise level, last epoch",
            _by_noise(history[-1]),
            "noise level t (0 is the clean image)",
            "mask loss",
            None,
        )
    )
    return [
        {"title": title, "svg": lines(series, f"{title}. {_told(series)}", x, y, limits)}
        for title, series, x, y, limits in found
        if any(math.isfinite(value) for points in series.values() for _, value in points)
    ]


def _points(history: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(float(r["epoch"]), float(r[name])) for r in history if isinstance(r.get(name), (int, float))]


def _by_noise(record: Mapping[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Bin "100-200" at its middle, "clean" at 0; nothing for a training at t = 0 alone."""
    bins = {k: v for k, v in (record.get("mask_loss_by_t") or {}).items() if v is not None}
    at = [(0.0 if name == "clean" else sum(map(float, name.split("-"))) / 2, float(value)) for name, value in bins.items()]
    return {"mask loss": at} if len(at) > 1 else {}


def _told(series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """First and last value of each line, for those who hear the page."""
    return "; ".join(f"{name}: {of[0][1]:.3f} to {of[-1][1]:.3f}" for name, of in series.items() if of)


def paired(main: str, evaluation: Evaluation, against: Sequence[Comparison]) -> Markup:
    """Mean Dice of each case, run by run, the main run last."""
    of = {**{c.name: c.other for c in reversed(against)}, main: evaluation}  # the first named run beside the main one
    scores = {name: e.scores["dice"][ALL] for name, e in of.items()}
    values = {name: dice_by_case(e.rows) for name, e in of.items()}
    means = {name: (s["mean"], s["interval"]) for name, s in scores.items() if s["mean"] is not None}
    told = ", ".join(f"{name} {mean:.2f}" for name, (mean, _) in means.items())
    return paired_points(
        {n: values[n] for n in means}, means, f"Mean Dice of each case in each run. Means: {told}", "mean Dice of a case"
    )
