"""The second figure: hybrid minus supervised pretraining with its interval, one panel a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.label_efficiency.figure import COLOURS, COLUMNS
from benchmarks.plots import INK, SLATE, calm, legend_below, panel_grid
from monai_hybrid.reporting.figures import FONT, finish

# Kinds of pairs, from top to bottom within a number of labels.
KINDS = {
    "as the studies began": "#9AA5B1",
    "at supervised's learning rate": "#AA4499",
    "pretrained longer": COLOURS["supervised"],
    "fine-tuned longer": COLOURS["hybrid"],
    "weights of the best source validation": COLOURS["two_pass"],
    "longer, a tenth of the source labels": "#332288",
}
STEP, GAP = 1.0, 0.9  # between the kinds of a number of labels, and more between numbers


@dataclass(frozen=True)
class Pair:
    """One difference: `kind` of KINDS, number of labels, mean, 95 % interval or None, pairs of runs."""

    kind: str
    shots: int
    mean: float
    interval: tuple[float, float] | None
    runs: int


def difference_figure(panels: Mapping[str, Sequence[Pair]], path: Path) -> None:
    """Write the figure (PNG). All panels share the axis of the difference; right of zero hybrid is better."""
    columns = min(COLUMNS, len(panels))
    figure, places = panel_grid(len(panels), columns, 2.5)
    handles: dict[str, Any] = {}
    first: Any = None
    for place, (title, pairs) in zip(places, panels.items(), strict=True):
        axes = figure.add_subplot(place, sharex=first)
        first = first or axes
        _panel(axes, title, pairs, handles)
    legend_below(figure, {kind: handles[kind] for kind in KINDS if kind in handles}, columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    finish(figure, path)


def _panel(axes: Any, title: str, pairs: Sequence[Pair], handles: dict[str, Any]) -> None:
    y, ticks = 0.0, {}
    for shots in sorted({pair.shots for pair in pairs}):
        here = sorted((pair for pair in pairs if pair.shots == shots), key=lambda pair: list(KINDS).index(pair.kind))
        ticks[y + STEP * (len(here) - 1) / 2] = f"{shots} label" + "s" * (shots != 1)
        for pair in here:
            low, high = pair.interval or (pair.mean, pair.mean)
            handles[pair.kind] = axes.errorbar(
                pair.mean, y, xerr=[[pair.mean - low], [high - pair.mean]], fmt="o", ms=4, lw=1.4, color=KINDS[pair.kind]
            )
            y += STEP
        y += GAP
    axes.axvline(0, color=SLATE, lw=0.8, zorder=1)
    axes.invert_yaxis()
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_title(title, fontsize=8.5, family=FONT, color=INK, loc="left")
    axes.set_xlabel("Dice, hybrid minus supervised", fontsize=7.5, family=FONT, color=SLATE)
    calm(axes, values="x", size=7)
