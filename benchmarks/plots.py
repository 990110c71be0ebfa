"""Plots of the studies: mask loss over noise levels, Dice per class; drawn and written as `reporting.figures` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from monai_hybrid.reporting.figures import FONT, Picture, empty_figure, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

# Okabe & Ito's colours, told apart with any colour vision: strong ones first, for white ground.
ARM_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9", "#4D4D4D")
INK, SLATE, MIST = "#22262C", "#6B7280", "#E5E7EB"  # text, axes and grid
MEDIANS_AT = 1.05  # height of the row of medians, in axes


def loss_by_timestep_figure(
    edges: Sequence[float],
    values_by_run: Mapping[str, Sequence[float]],
    path: str | Path | None = None,
    ylabel: str = "mask loss",
) -> Picture:
    """Mean loss in bins of the noise level, one line a run.

    Args:
        edges: n + 1 increasing bin edges of t (0 is the clean image).
        values_by_run: run name to n mean losses; NaN for an empty bin leaves a gap.
        path: where to write it; None: nowhere.
        ylabel: name of the loss.

    Raises:
        ValueError: for no run, edges that do not increase, or a run with another number of values.
    """
    bounds = np.asarray(edges, float)
    if bounds.ndim != 1 or len(bounds) < 2 or not (np.diff(bounds) > 0).all():
        raise ValueError(f"edges must be at least two increasing numbers, got {list(edges)}")
    if not values_by_run:
        raise ValueError("values_by_run is empty: nothing to draw")
    figure, axes = _plot(4.6, 3.0)
    for i, (run, values) in enumerate(values_by_run.items()):
        if len(values) != len(bounds) - 1:
            raise ValueError(f"run {run!r} has {len(values)} values for {len(bounds) - 1} bins")
        colour = ARM_COLOURS[i % len(ARM_COLOURS)]
        centres = (bounds[:-1] + bounds[1:]) / 2
        axes.plot(centres, values, color=colour, lw=1.6, marker="o", ms=4, mec="white", mew=0.8, label=run, clip_on=False)
    axes.set_xlim(bounds[0], bounds[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("noise level t  (0 = clean image)", color=INK, fontsize=8.5, family=FONT)
    axes.set_ylabel(ylabel, color=INK, fontsize=8.5, family=FONT)
    _plot_legend(axes, len(values_by_run))
    return finish(figure, path)


def dice_bars_figure(
    dice_by_arm: Mapping[str, Mapping[str, Sequence[float]]],
    path: str | Path | None = None,
) -> Picture:
    """Every case's Dice as a dot, with quartile box and median mark, grouped by class, one colour an arm.

    The medians stand above. The axis starts below the lowest case, not at 0: dots, unlike bars, do not need it.

    Args:
        dice_by_arm: arm to class to per-case Dice in [0, 1]; NaN (structure absent) is left out and counted below.
        path: where to write it; None: nowhere.

    Raises:
        ValueError: for no finite value, or a value outside [0, 1].
    """
    classes = list(dict.fromkeys(name for scores in dice_by_arm.values() for name in scores))
    everything = np.array([v for scores in dice_by_arm.values() for vs in scores.values() for v in vs], float)
    finite = everything[np.isfinite(everything)]
    if not finite.size:
        raise ValueError("no finite Dice value to draw")
    if finite.min() < 0 or finite.max() > 1:
        raise ValueError(f"Dice lies in [0, 1], got {finite.min():g} to {finite.max():g}")
    arms = len(dice_by_arm)
    slot, between = 0.42, 0.34
    group = arms * slot + between
    figure, axes = _plot(max(3.2, 0.85 + len(classes) * group), 3.0)
    for i, (arm, scores) in enumerate(dice_by_arm.items()):
        for j, name in enumerate(classes):
            x = j * group + (i - (arms - 1) / 2) * slot
            _draw_dots(axes, x, np.asarray(scores.get(name, []), float), ARM_COLOURS[i % len(ARM_COLOURS)])
        axes.plot([], [], "o", color=ARM_COLOURS[i % len(ARM_COLOURS)], ms=5, label=arm)
    middle, half = (len(classes) - 1) * group / 2, max(len(classes) * group, 2.35) / 2  # one unit of x is about an inch
    axes.set_xlim(middle - half, middle + half)
    axes.set_ylim(max(0.0, np.floor(finite.min() * 10 - 0.2) / 10), 1.0)
    axes.set_xticks([j * group for j in range(len(classes))], classes, color=INK, fontsize=8.5, family=FONT)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("Dice per case", color=INK, fontsize=8.5, family=FONT)
    note: dict[str, Any] = {"ha": "right", "color": SLATE, "fontsize": 7, "family": FONT}
    axes.text(-0.015, MEDIANS_AT, "median", transform=axes.transAxes, **note)
    _plot_legend(axes, arms, above=0.13)
    if left_out := int(everything.size - finite.size):
        words = f"{left_out} undefined value{'s' * (left_out > 1)} left out"
        axes.annotate(words, (1, 0), (0, -22), "axes fraction", "offset points", va="top", **note)
    return finish(figure, path)


def _draw_dots(axes: Axes, x: float, scores: npt.NDArray[Any], colour: str) -> None:
    """One arm in one class: dots, quartile box, median mark, and the median in figures above the axes."""
    scores = scores[np.isfinite(scores)]
    transform = axes.get_xaxis_transform()
    median = f"{np.median(scores):.2f}" if scores.size else "none"
    axes.text(x, MEDIANS_AT, median, transform=transform, ha="center", color=colour, fontsize=7, family=FONT)
    if not scores.size:
        return
    spread = (np.arange(scores.size) * 0.6180339887498949) % 1 - 0.5  # golden-ratio sequence: even and repeatable
    axes.scatter(x + 0.2 * spread, scores, s=9, color=colour, alpha=0.55, linewidths=0, zorder=3, clip_on=False)
    low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
    axes.fill_between([x - 0.14, x + 0.14], low, high, color=colour, alpha=0.16, linewidth=0, zorder=2)
    axes.plot([x - 0.14, x + 0.14], [middle, middle], color=colour, lw=2, solid_capstyle="butt", zorder=4)


def calm(axes: Axes, values: Literal["x", "y"] = "y", size: float = 7.5) -> None:
    """One line below, faint lines across the axis of the `values`, small grey numbers."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SLATE)
    axes.grid(axis=values, color=MIST, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=SLATE, labelsize=size, labelfontfamily=FONT, length=3, width=0.8)
    axes.tick_params(axis="y", length=0)


def line_figure(
    x: Sequence[float],
    repeats_by_run: Mapping[str, Sequence[Sequence[float]]],
    levels: Mapping[str, float],
    xlabel: str,
    ylabel: str,
    path: str | Path | None = None,
) -> Picture:
    """The mean of repeated curves, one strong line a run, each repeat a faint one; dashed levels to compare with.

    Args:
        x: n places.
        repeats_by_run: run name to repeats of n values.
        levels: name to a value.
        xlabel, ylabel: of the axes.
        path: where to write it; None: nowhere.
    """
    figure, axes = _plot(4.8, 3.0)
    for i, (run, repeats) in enumerate(repeats_by_run.items()):
        for values in repeats:
            axes.plot(x, values, color=ARM_COLOURS[i], lw=0.8, alpha=0.4)
        axes.plot(x, np.mean(repeats, axis=0), color=ARM_COLOURS[i], lw=1.8, marker="o", ms=4, mec="white", mew=0.8, label=run)
    for name, value in levels.items():
        axes.axhline(value, color=SLATE, lw=1.1, ls=(0, (4, 3)), label=name)
    axes.set_xticks(list(x))
    axes.set_ylim(0, 1)
    axes.set_xlabel(xlabel, color=INK, fontsize=8.5, family=FONT)
    axes.set_ylabel(ylabel, color=INK, fontsize=8.5, family=FONT)
    _plot_legend(axes, len(repeats_by_run) + len(levels))
    return finish(figure, path)


def panel_grid(panels: int, columns: int, height: float) -> tuple[Figure, list[SubplotSpec]]:
    """A white figure of panels `height` inches high, row by row, and the place of each of them."""
    rows = -(-panels // columns)
    figure = empty_figure(max(3.1 * columns, 4.4), height * rows + 0.6, "white")
    figure.set_layout_engine("constrained")
    grid = figure.add_gridspec(rows, columns)
    return figure, [grid[i // columns, i % columns] for i in range(panels)]


def legend_below(figure: Figure, handles: Mapping[str, Any], columns: int) -> None:
    """One legend for all panels, in so many columns."""
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns, frameon=False,
                  labelcolor=INK, prop={"family": FONT, "size": 7.5})  # fmt: skip


def _plot(width: float, height: float) -> tuple[Figure, Axes]:
    """A white figure with one calm pair of axes."""
    figure = empty_figure(width, height, "white")
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("white")
    calm(axes)
    axes.locator_params(axis="y", nbins=6, steps=[1, 2, 5, 10])
    axes.ticklabel_format(axis="y", useOffset=False)
    return figure, axes


def _plot_legend(axes: Axes, entries: int, above: float = 0.02) -> None:
    """The names of the runs, above the axes."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1 + above), ncols=min(entries, 4), frameon=False, borderaxespad=0,
                handlelength=1.4, handletextpad=0.5, columnspacing=1.4, labelcolor=INK,
                prop={"family": FONT, "size": 8})  # fmt: skip
