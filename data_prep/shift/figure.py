"""`shift.png`: grey values, contrast, volumes and voxels of two data sets, side by side."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_prep.json_io import write_atomically
from data_prep.result_files import MADE_WITH
from data_prep.shift.domain import LEVELS, Domain
from data_prep.shift.geometry import AXES
from data_prep.volume import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Two of Okabe & Ito's colours, told apart with any colour vision and in grey print; the target's marks are open as well.
COLOURS = {"source": "#0072B2", "target": "#D55E00"}
INK, SLATE, MIST = "#22262C", "#6B7280", "#E5E7EB"
FONT = "DejaVu Sans"
DPI = 160
MAX_STRUCTURES = 8  # drawn; more would not be legible


def shift_figure(source: Domain, target: Domain, path: Path) -> None:
    """Draw four panels, three where no file states its voxel size, and write them as PNG; matplotlib is loaded here.

    Raises:
        EnvironmentFault: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pair = {"source": source, "target": target}
    names = [name for name in source.structures if name in target.structures] or source.structures
    names = names[:MAX_STRUCTURES]
    height = 2.9 + 0.16 * max(0, len(names) - 3)
    figure = Figure(figsize=(10.8, height), dpi=DPI, facecolor="white", layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.06, rect=(0, 0, 1, 0.9))  # type: ignore[union-attr, call-arg]
    in_mm = any(domain.facts["spacing_known"] for domain in pair.values())
    grey, contrast, volume, *voxel = figure.subplots(1, 3 + in_mm, width_ratios=[1.25, 1, 1, 1][: 3 + in_mm])
    _quantiles(grey, pair)
    _per_structure(contrast, names, {who: of.contrasts for who, of in pair.items()}, percent=True)
    _titled(contrast, "Contrast of each structure", "inside minus around it, % of the range")
    contrast.axvline(0, color=SLATE, lw=0.8, zorder=1)
    _volumes(volume, pair, names)
    if in_mm:
        _spacing(voxel[0], pair)
    _legend(figure, pair)
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white", metadata={"Software": MADE_WITH})
    write_atomically(path, buffer.getvalue())


def _titled(axes: Axes, title: str, label: str) -> None:
    """One calm pair of axes."""
    axes.set_title(title, loc="left", color=INK, fontsize=9, family=FONT, fontweight="bold", pad=8)
    axes.set_xlabel(label, color=INK, fontsize=8, family=FONT)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(SLATE)
    axes.grid(axis="x", color=MIST, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=SLATE, labelsize=7.5, labelfontfamily=FONT, length=3, width=0.8)
    axes.tick_params(axis="y", length=0)


def _quantiles(axes: Axes, pair: dict[str, Domain]) -> None:
    """Mean curve with the range of 80 % of the cases, first channel."""
    for who, domain in pair.items():
        curves = (domain.quantiles[:, 0] + 1) * 50
        low, high = np.quantile(curves, [0.1, 0.9], axis=0)
        axes.fill_betweenx(LEVELS * 100, low, high, color=COLOURS[who], alpha=0.16, linewidth=0)
        axes.plot(curves.mean(axis=0), LEVELS * 100, color=COLOURS[who], lw=1.8, ls="-" if who == "source" else (0, (5, 1.5)))
    _titled(axes, "Grey values after normalisation", "% of the range; band: 80 % of the cases")
    axes.set_ylabel("% of the image below", color=INK, fontsize=8, family=FONT)
    axes.grid(axis="both", color=MIST, lw=0.8)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)


def _per_structure(axes: Axes, names: list[str], values: dict[str, Any], percent: bool = False) -> None:
    """A row a structure: a dot a case, and the median as a bar; source above target."""
    for row, name in enumerate(names):
        for who, offset in (("source", -0.17), ("target", 0.17)):
            of = np.asarray(values[who].get(name, []), float) * (100 if percent else 1)
            _dots(axes, of, row + offset, who)
    _rows(axes, names)


def _dots(axes: Axes, values: Array, y: float, who: str) -> None:
    if not values.size:
        return
    shown = values[np.unique(np.linspace(0, values.size - 1, min(values.size, 150)).astype(int))]
    spread = (np.arange(shown.size) * 0.6180339887498949) % 1 - 0.5  # golden-ratio sequence: even and repeatable
    face = COLOURS[who] if who == "source" else "none"
    axes.scatter(shown, y + 0.2 * spread, s=9, facecolors=face, edgecolors=COLOURS[who], linewidths=0.7, alpha=0.45, zorder=3)
    axes.plot([np.median(values)] * 2, [y - 0.15, y + 0.15], color=COLOURS[who], lw=2.4, solid_capstyle="butt", zorder=4)


def _rows(axes: Axes, names: list[str] | tuple[str, ...]) -> None:
    axes.set_yticks(range(len(names)), [name if len(name) <= 18 else f"{name[:17]}…" for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)


def _volumes(axes: Axes, pair: dict[str, Domain], names: list[str]) -> None:
    _per_structure(axes, names, {who: domain.volumes for who, domain in pair.items()})
    units = list(dict.fromkeys(domain.volume_unit for domain in pair.values()))
    seen = [value for domain in pair.values() for name in names for value in domain.volumes.get(name, [])]
    if seen and max(seen) > 30 * np.median(seen):
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)
    _titled(axes, "Size of each structure", " / ".join(units))


def _spacing(axes: Axes, pair: dict[str, Domain]) -> None:
    """Median with the range over the cases, an axis a row."""
    for who, offset in (("source", -0.13), ("target", 0.13)):
        facts = pair[who].facts["spacing"]
        rows = np.arange(len(facts["median"])) + offset
        axes.hlines(rows, facts["min"], facts["max"], color=COLOURS[who], lw=2, alpha=0.4)
        face = COLOURS[who] if who == "source" else "white"
        axes.scatter(facts["median"], rows, s=34, facecolors=face, edgecolors=COLOURS[who], linewidths=1.6, zorder=3)
    _rows(axes, AXES[len(pair["source"].facts["spacing"]["median"])])
    axes.set_xlim(0, 1.12 * max(max(domain.facts["spacing"]["max"]) for domain in pair.values()))
    _titled(
        axes, "Voxel size", "mm" if all(domain.facts["spacing_known"] for domain in pair.values()) else "mm; 1 where not stated"
    )


def _legend(figure: Any, pair: dict[str, Domain]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[who], lw=1.8, ls="-" if who == "source" else (0, (3, 1)), marker="o", ms=5.5,
               mfc=COLOURS[who] if who == "source" else "white", label=f"{who}: {domain.name}")
        for who, domain in pair.items()
    ]  # fmt: skip
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.008, 1.0), ncols=2, frameon=False, labelcolor=INK,
                  handlelength=2.6, columnspacing=2, prop={"family": FONT, "size": 9})  # fmt: skip
