"""Pictures without a display: sheets of scans with their masks.

What draws returns the picture as (H, W, 3) uint8, rows from the top, and writes it when a path is given (PNG, PDF or SVG by
the suffix; the file appears whole or not at all). Figures are drawn on matplotlib's Agg canvas as objects: no
pyplot, no display, no global state. matplotlib is loaded by the first picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_prep.atomic import replace_file
from data_prep.result_files import MADE_WITH, PALETTE, label_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

Picture = npt.NDArray[np.uint8]

# Okabe & Ito's colours, told apart with any colour vision: bright ones first, for dark scans.
BACKGROUND = "#000000"
LABEL_COLOURS = PALETTE
FONT = "DejaVu Sans"  # ships with matplotlib, so a report looks the same everywhere
DPI = 200
NIGHT, CHALK = "#0E1116", "#E6E9EE"  # ground and titles of a sheet
GAP, MARGIN, TITLE = 0.05, 0.12, 0.24  # inches between panels, around a sheet, and of a line of titles


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet.

    Attributes:
        image: (rows, columns) in [-1, 1], shown in grey, or (rows, columns, 3), shown in colour; values outside are clipped.
        mask: (rows, columns) whole label numbers, 0 transparent; None for the bare image.
        note: a few characters in the lower left corner, e.g. a Dice score.
        aspect: height of a pixel over its width.
        smooth: interpolate between pixels; False shows them as squares, which is right for noise.

    Raises:
        ValueError: when the image is neither 2-D nor in three colours, or the mask has another shape.
    """

    image: npt.NDArray[Any]
    mask: npt.NDArray[Any] | None = None
    note: str = ""
    aspect: float = 1.0
    smooth: bool = True

    def __post_init__(self) -> None:
        if np.ndim(self.image) != 2 and np.shape(self.image)[2:] != (3,):
            raise ValueError(f"a panel shows a 2-D image, got shape {np.shape(self.image)}; see middle_slices")
        if self.mask is not None and np.shape(self.mask) != np.shape(self.image)[:2]:
            raise ValueError(f"mask {np.shape(self.mask)} and image {np.shape(self.image)} must have one shape")

    @property
    def labels(self) -> list[int]:
        """The label numbers in the mask, without 0."""
        return [] if self.mask is None else [int(k) for k in np.unique(np.asarray(self.mask)) if k > 0]


def middle_slices(
    volume: npt.NDArray[Any], mask: npt.NDArray[Any] | None = None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """The slice worth seeing, turned as a radiologist expects it.

    Args:
        volume: (X, Y, Z) in RAS orientation, or (X, Y) = (width, height) as MONAI's PILReader loads a PNG.
        mask: label numbers of the same shape.

    Returns:
        image and mask (or None), 2-D, rows from the top. 3-D: the axial slice with the most foreground, or the middle
        one without; anterior is up and the patient's left is on the viewer's right. 2-D: the picture as in the file.

    Raises:
        ValueError: when the volume is neither 2-D nor 3-D, or the mask has another shape.
    """
    image = np.asarray(volume)
    labels = None if mask is None else np.asarray(mask)
    if image.ndim not in (2, 3):
        raise ValueError(f"volume must be (X, Y, Z) or (X, Y), got shape {image.shape}")
    if labels is not None and labels.shape != image.shape:
        raise ValueError(f"mask {labels.shape} and volume {image.shape} must have one shape")
    if image.ndim == 2:
        return image.T, None if labels is None else labels.T
    foreground = np.zeros(image.shape[2]) if labels is None else (labels > 0).sum(axis=(0, 1))
    z = int(foreground.argmax()) if foreground.any() else image.shape[2] // 2
    return image[::-1, ::-1, z].T, None if labels is None else labels[::-1, ::-1, z].T


def shown_slices(
    channels: npt.NDArray[Any], mask: npt.NDArray[Any] | None = None, coloured: bool = False
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """`middle_slices` of the first of the channels (C, X, Y[, Z]); all three, (rows, columns, 3), where they are colours."""
    image, labels = middle_slices(channels[0], mask)
    if coloured and len(channels) == 3 and channels.ndim == 3:
        image = np.stack([middle_slices(channel)[0] for channel in channels], axis=-1)
    return image, labels


def contact_sheet(
    rows: Sequence[Sequence[Panel | None]],
    column_titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
    path: str | Path | None = None,
    label_names: Mapping[int, str] | None = None,
    panel_inches: float = 1.7,
) -> Picture:
    """Scans on a dark ground, masks as translucent colour with a crisp contour, one legend for all.

    Args:
        rows: panels row by row; None leaves a place empty.
        column_titles: above the columns; none, or one a column.
        row_titles: beside the rows, read upwards; none, or one a row.
        path: where to write it; None: nowhere.
        label_names: label number to name, for the legend; None names the labels seen "label k".
        panel_inches: width of a panel, at 200 pixels an inch.

    Raises:
        ValueError: for no panel, a ragged grid, titles that do not match it, or a file suffix that is not known.
    """
    panels = [panel for row in rows for panel in row if panel is not None]
    if not panels:
        raise ValueError("a contact sheet needs at least one panel")
    _check_titles(rows, column_titles, row_titles)
    names = label_names or {k: f"label {k}" for k in sorted({k for panel in panels for k in panel.labels})}
    names = {k: name for k, name in names.items() if k > 0}

    layout = _layout(rows, panel_inches, bool(column_titles), bool(row_titles), list(names.values()))
    figure = empty_figure(layout.width, layout.height, NIGHT)
    for r, row in enumerate(rows):
        for c, panel in enumerate(row):
            if panel is not None:
                _draw_panel(figure.add_axes(layout.box(r, c)), panel)
    for c, title in enumerate(column_titles):
        x, y, width, height = layout.box(0, c)
        _text(figure, x + width / 2, y + height + 0.13 / layout.height, title)
    for r, title in enumerate(row_titles):
        x, y, _, height = layout.box(r, 0)
        _text(figure, x - 0.14 / layout.width, y + height / 2, title, rotation=90)
    if names:
        _draw_legend(figure, names, layout.legend_columns, x=layout.middle / layout.width, y=MARGIN / layout.height)
    return finish(figure, path)


@dataclass(frozen=True)
class _Layout:
    """Where things lie on a sheet, in inches from its lower left corner.

    Attributes:
        left, top, middle: of the grid of panels: its left and upper edge, and half-way between left and right.
        panel: width of a panel.
        heights: of the rows.
        legend_columns: entries of the legend beside each other.
    """

    width: float
    height: float
    left: float
    top: float
    middle: float
    panel: float
    heights: tuple[float, ...]
    legend_columns: int

    def box(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of a panel, as shares of the sheet."""
        x = self.left + column * (self.panel + GAP)
        y = self.top - sum(self.heights[: row + 1]) - row * GAP
        return x / self.width, y / self.height, self.panel / self.width, self.heights[row] / self.height


def _layout(
    rows: Sequence[Sequence[Panel | None]], panel: float, column_titles: bool, row_titles: bool, names: Sequence[str]
) -> _Layout:
    """The sheet is as wide as its grid or as the longest name of the legend; the grid lies in the middle of what is left."""
    grid_width = len(rows[0]) * (panel + GAP) - GAP
    entry = 0.55 + 0.075 * max(map(len, names), default=0)
    left = MARGIN + TITLE * row_titles
    inner = max(grid_width, entry if names else 0.0)
    width = left + inner + MARGIN
    legend_columns = max(1, int(width / entry))
    legend = 0.1 + 0.18 * ceil(len(names) / legend_columns) if names else 0.0
    heights = tuple(_row_height(row, panel) for row in rows)
    bottom = MARGIN + legend
    top = bottom + sum(heights) + GAP * (len(rows) - 1)
    middle = left + inner / 2
    height = top + MARGIN + TITLE * column_titles
    return _Layout(width, height, middle - grid_width / 2, top, middle, panel, heights, legend_columns)


def _check_titles(rows: Sequence[Sequence[Panel | None]], column_titles: Sequence[str], row_titles: Sequence[str]) -> None:
    lengths = [len(row) for row in rows]
    widest = max(lengths)
    if set(lengths) != {widest}:
        raise ValueError(f"each row needs {widest} panels (None for an empty place), got rows of {lengths}")
    if column_titles and len(column_titles) != widest:
        raise ValueError(f"{len(column_titles)} column titles for {widest} columns")
    if row_titles and len(row_titles) != len(rows):
        raise ValueError(f"{len(row_titles)} row titles for {len(rows)} rows")


def _row_height(row: Sequence[Panel | None], width: float) -> float:
    """Inches of the tallest panel of the row at this width, between half and twice the width."""
    tallest = max((p.aspect * p.image.shape[0] / p.image.shape[1] for p in row if p is not None), default=1.0)
    return width * min(max(tallest, 0.5), 2.0)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.set_axis_off()
    image = np.asarray(panel.image)
    image = image if image.ndim == 2 else (image.astype(np.float64).clip(-1, 1) + 1) / 2
    axes.imshow(image, cmap="gray", vmin=-1, vmax=1, aspect=panel.aspect,
                interpolation="bicubic" if panel.smooth else "nearest")  # fmt: skip
    for label in panel.labels:
        x, y, inside = membership(np.asarray(panel.mask) == label)
        colour = label_colour(label)
        axes.contourf(x, y, inside, levels=[0.5, 9.0], colors=[colour], alpha=0.3)
        axes.contour(x, y, inside, levels=[0.5], colors=[colour], linewidths=1.1)
    height, width = panel.image.shape[:2]
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    if panel.note:
        axes.text(0.04, 0.04, panel.note, transform=axes.transAxes, color="white", fontsize=7.5, family=FONT,
                  bbox={"facecolor": NIGHT, "alpha": 0.65, "linewidth": 0, "pad": 1.8})  # fmt: skip


def membership(inside: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """x, y and a field whose level 0.5 is the mask's border, half-way between pixels, closed at the image's edge.

    Small pictures are refined by a cubic spline, which rounds the corners of the pixel grid; two labels that touch keep
    one common border.
    """
    from scipy.ndimage import zoom

    field = np.pad(inside, 1).astype(np.float32)
    if max(field.shape) < 160:
        field = zoom(field, 4, order=3)
    y, x = (np.linspace(-1, n, m) for n, m in zip(inside.shape, field.shape, strict=True))
    return x, y, field


def _draw_legend(figure: Figure, names: Mapping[int, str], columns: int, x: float, y: float) -> None:
    from matplotlib.patches import Patch

    colours = {k: label_colour(k) for k in names}
    handles = [Patch(facecolor=f"{colours[k]}4D", edgecolor=colours[k], lw=1.1, label=names[k]) for k in names]
    figure.legend(handles=handles, loc="lower center", bbox_to_anchor=(x, y), ncols=columns, frameon=False, borderpad=0,
                  borderaxespad=0, handlelength=1.1, handleheight=1.0, handletextpad=0.5, columnspacing=1.6,
                  labelcolor=CHALK, prop={"family": FONT, "size": 8})  # fmt: skip


def _text(figure: Figure, x: float, y: float, words: str, rotation: float = 0) -> None:
    figure.text(x, y, words, ha="center", va="center", rotation=rotation, color=CHALK, fontsize=9, family=FONT)


def empty_figure(width: float, height: float, ground: str) -> Figure:
    """An empty figure of this size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, facecolor=ground)


def finish(figure: Figure, path: str | Path | None) -> Picture:
    """Draw, write atomically when there is a path, and return (H, W, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    figure.set_layout_engine("none")  # a second draw would move the axes a little: write what was returned
    if path is not None:
        _write(canvas, Path(path))
    return picture


def _write(canvas: FigureCanvasAgg, path: Path) -> None:
    form = path.suffix.lower().removeprefix(".")
    if form not in ("png", "pdf", "svg"):
        raise ValueError(f"a picture is written as .png, .pdf or .svg, got {path.name!r}")
    if form == "png":  # what is drawn already: `savefig` would draw it anew
        from matplotlib.image import imsave

        drawn, told = canvas.buffer_rgba(), {"Software": MADE_WITH}
        replace_file(path, lambda part: imsave(part, drawn, format=form, origin="upper", dpi=DPI, metadata=told))
        return
    figure = canvas.figure
    replace_file(path, lambda part: figure.savefig(part, format=form, facecolor=figure.get_facecolor(), metadata={}))
