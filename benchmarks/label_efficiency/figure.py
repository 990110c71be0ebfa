"""The figure: Dice against the number of labels, one panel a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.plots import INK, SLATE, calm, legend_below, panel_grid
from monai_hybrid.reporting.figures import FONT, finish

# Okabe & Ito; one colour an arm in every panel. Peers are dashed.
COLOURS = {
    "hybrid": "#D55E00", "supervised": "#0072B2", "diffusion": "#009E73", "noisy_supervised": "#CC79A7", "two_pass": "#E69F00",
    "scratch": "#4D4D4D", "pixel_head": "#56B4E9", "nnunet_scratch": "#4D4D4D", "nnunet_supervised": "#0072B2",
    "hybrid_target_images": "#882255", "hybrid_target_denoising": "#AA4499",
    "hybrid_longest": "#D55E00", "supervised_longest": "#0072B2", "nnunet_longest": "#4D4D4D",
}  # fmt: skip
SPARE = ("#44AA99", "#999933", "#332288", "#661100", "#6699CC")
DASHED = ("pixel_head", "nnunet_scratch", "nnunet_supervised")
DOTTED = ("hybrid_longest", "supervised_longest", "nnunet_longest")
BANDS = ("hybrid", "supervised", "diffusion")  # of the others the interval is in the table
COLUMNS = 3


@dataclass(frozen=True)
class Curve:
    """An arm: (labels, mean Dice, low, high) a point; 0 labels may be among them."""

    arm: str
    points: Sequence[tuple[int, float, float, float]]


def label_efficiency_figure(panels: Mapping[str, Sequence[Curve]], path: Path) -> None:
    """Write the figure (PNG).

    Labels are on a logarithmic axis; no label (zero-shot) stands apart on its left. Bands: 95 % intervals of the main arms.
    """
    columns = 2 if len(panels) == 4 else min(COLUMNS, len(panels))
    figure, places = panel_grid(len(panels), columns, 2.7)
    handles: dict[str, Any] = {}
    for place, (title, curves) in zip(places, panels.items(), strict=True):
        _panel(figure.add_subplot(place), title, curves, handles)
    legend_below(figure, handles, min(5, max(1, len(handles))))
    path.parent.mkdir(parents=True, exist_ok=True)
    finish(figure, path)


def _dashes(arm: str) -> Any:
    return (0, (3, 2)) if arm in DASHED else (0, (1, 1)) if arm in DOTTED else "-"


def _panel(axes: Any, title: str, curves: Sequence[Curve], handles: dict[str, Any]) -> None:
    shots = sorted({p[0] for curve in curves for p in curve.points})
    lowest = min((n for n in shots if n > 0), default=1)
    apart = lowest / 2
    spare = iter(SPARE * 10)
    for curve in curves:
        colour = COLOURS.get(curve.arm) or next(spare)
        style = {"color": colour, "ls": _dashes(curve.arm), "marker": "o", "ms": 3.2,
                 "lw": 2.2 if curve.arm == "hybrid" else 1.3, "zorder": 4 if curve.arm == "hybrid" else 3}  # fmt: skip
        points = np.array([p for p in sorted(curve.points) if p[0] > 0], dtype=float).reshape(-1, 4)
        (line,) = axes.plot(points[:, 0], points[:, 1], **style)
        handles.setdefault(curve.arm.replace("_", " "), line)
        if curve.arm in BANDS:
            axes.fill_between(points[:, 0], points[:, 2], points[:, 3], color=colour, alpha=0.13, lw=0, zorder=1)
        for _, mean, low, high in (p for p in curve.points if p[0] == 0):
            axes.errorbar(apart, mean, [[mean - low], [high - mean]] if np.isfinite([low, high]).all() else None,
                          fmt="o", ms=3.2, lw=0.8, color=colour, zorder=3)  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks([apart if n == 0 else n for n in shots], [str(n) for n in shots])
    axes.minorticks_off()
    axes.set_title(title, fontsize=8.5, family=FONT, color=INK, loc="left")
    axes.set_xlabel("labelled patients", fontsize=7.5, family=FONT, color=SLATE)
    axes.set_ylabel("Dice", fontsize=7.5, family=FONT, color=SLATE)
    calm(axes, size=7)
