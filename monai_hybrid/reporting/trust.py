"""How far the numbers hold, from `trust.json`: the reliability curve, and predicted against measured Dice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monai_hybrid.reporting.charts import against, lines

IDEAL = "as it should be"
NAMES = {"before": "probabilities", "after": "with the temperature"}


def of_evaluation(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Charts and sentences of an evaluation; None where the file tells nothing."""
    said: list[str] = []
    reliability = _reliability(content.get("calibration") or {}, said)
    agreement = content.get("predicted_dice")
    points = None
    if agreement:
        points = against(
            [(p["predicted"], p["dice"], f"{p['case_id']}, {p['class']}", (p["low"], p["high"])) for p in agreement["points"]],
            "Predicted against measured Dice, a point a mask",
            "predicted Dice",
            "measured Dice",
        )
        rank = agreement.get("rank_correlation")
        said.append(
            f"The predicted Dice is wrong by {agreement['error']:.3f} on average over {agreement['masks']} masks; "
            f"{agreement['covered']} of them lie in their interval."
            + ("" if rank is None else f" Rank correlation: {rank:.2f}.")
        )
    return {"reliability": reliability, "points": points, "said": said} if reliability or points else None


def _reliability(calibration: Mapping[str, Any], said: list[str]) -> Any:
    """The curve before and after, and what to say of it."""
    series: dict[str, list[tuple[float, float]]] = {}
    for when, name in NAMES.items():
        of = calibration.get(when) or {}
        if of.get("error") is not None:
            series[name] = [(point["confidence"], point["right"]) for point in of["curve"]]
            said.append(f"Expected calibration error, {name}: {of['error']:.4f}.")
    if not series:
        return None
    said.append(f"Counted over {calibration['region']}.")
    lowest = min(x for of in series.values() for x, _ in of)
    series[IDEAL] = [(lowest, lowest), (1.0, 1.0)]
    return lines(series, "Share that is right against confidence", "confidence", "share right", (0.0, 1.0))
