"""The best, the median and the worst case, as pictures that stay sharp: the scan as PNG, the masks as SVG paths over it."""

from __future__ import annotations

import base64
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from PIL import Image

from data_prep.result_files import label_colour
from monai_hybrid.errors import DataError
from monai_hybrid.reporting.figures import membership

Array = npt.NDArray[Any]
LARGEST = 512  # pixels along the longer side
WIDEST, LARGEST_PNG = 1100, 400_000  # pixels and bytes of a picture file that is kept as it is
MARGIN = 0.45  # kept around the masks, in their longer extent
LEAST = 0.42  # share of the slice's longer side that stays at least
PATH_BYTES = 120_000  # of all borders of one mask
LEAST_BYTES = 4  # of a point of a border: two digits, what parts them, and a letter
BARS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)  # lengths of a scale bar
UNITS = ("mm", "pixels", "voxels")
SIDES = ("left", "right", "top", "bottom")


@dataclass(frozen=True)
class CaseSlice:
    """One slice: image (H, W) or (H, W, 3), reference and prediction (H, W), uint8, rows from the top; spacing (row, column) in
    `unit`, one of `UNITS`; None where the file does not say which; `edges`: the letters at `SIDES`, or ""."""

    image: Array
    reference: Array
    prediction: Array
    spacing: tuple[float, float]
    unit: str | None = None
    edges: str = ""

    def part(self, rows: slice, columns: slice, step: int = 1) -> CaseSlice:
        """The part in these rows and columns, of which every `step`-th was taken."""
        cut = (rows, columns)
        spacing = self.spacing[0] * step, self.spacing[1] * step
        return CaseSlice(self.image[cut], self.reference[cut], self.prediction[cut], spacing, self.unit, self.edges)


def read_slice(path: Path) -> CaseSlice:
    """Read `slices/<case>.npz`, as `evaluation.slices` writes it.

    An earlier evaluation wrote 0 where no length is stated: the slice is in pixels then.

    Raises:
        DataError: damaged, an array missing, of another shape or kind, or a spacing that is none.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            image, reference, prediction, spacing = (arrays[n] for n in ("image", "reference", "prediction", "spacing"))
            unit, edges = (str(arrays[name]) if name in arrays else None for name in ("unit", "edges"))
    except (OSError, TypeError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a slice of evaluate.json ({str(error).splitlines()[0]}); evaluate again") from error
    _check_arrays(path, image, reference, prediction)
    if spacing.shape == (2,) and unit is None and not spacing.any():
        spacing, unit = np.ones(2), "pixels"
    if spacing.shape != (2,) or not np.isfinite(spacing).all() or (spacing <= 0).any():
        raise DataError(f"{path}: spacing is {spacing.tolist()}; expected two lengths above 0; evaluate again")
    if unit not in (None, *UNITS):
        raise DataError(f"{path}: unit is {unit[:20]!r}; expected one of {', '.join(UNITS)}; evaluate again")
    return CaseSlice(image, reference, prediction, (float(spacing[0]), float(spacing[1])), unit, edges or "")


def _check_arrays(path: Path, image: np.ndarray, reference: np.ndarray, prediction: np.ndarray) -> None:
    """Raises: DataError: the image is not (H, W) or (H, W, 3), a mask not (H, W), or one not uint8."""
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise DataError(f"{path}: image is {image.dtype} {image.shape}; expected uint8 (H, W) or (H, W, 3); evaluate again")
    for name, array, shape in (
        ("image", image, image.shape),
        ("reference", reference, image.shape[:2]),
        ("prediction", prediction, image.shape[:2]),
    ):
        if array.dtype != np.uint8 or array.shape != shape or not array.size:
            raise DataError(f"{path}: {name} is {array.dtype} {array.shape}; expected uint8 {shape} (H, W); evaluate again")


def cropped(of: CaseSlice) -> tuple[CaseSlice, bool]:
    """The part around both masks when they are small in the slice, and whether anything was cut."""
    inside = (of.reference > 0) | (of.prediction > 0)
    if not inside.any():
        return of, False
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    shape = of.reference.shape
    lengths = [n * s for n, s in zip(shape, of.spacing, strict=True)]
    extents = [(r[-1] - r[0] + 1) * s for r, s in zip((rows, columns), of.spacing, strict=True)]
    side = max(max(extents) * (1 + 2 * MARGIN), LEAST * max(lengths))
    if side > 0.8 * max(lengths):
        return of, False
    window = []
    for found, n, s in zip((rows, columns), shape, of.spacing, strict=True):
        size = min(n, max(1, round(side / s)))
        start = int(np.clip(round((found[0] + found[-1] + 1 - size) / 2), 0, n - size))
        window.append(slice(start, start + size))
    return of.part(window[0], window[1]), True


def reduced(of: CaseSlice) -> CaseSlice:
    """Every n-th pixel of a slice that is larger than a page shows."""
    step = -(-max(of.reference.shape) // LARGEST)
    every = slice(None, None, step)
    return of.part(every, every, step) if step > 1 else of


def panels(of: CaseSlice, key: str, case: str, names: Sequence[str], unit: str) -> list[tuple[str, Markup]]:
    """Scan, reference and prediction, side by side, in the true proportions of the spacing.

    Args:
        of: the slice.
        key: unique in the page.
        case: its name, for the description.
        names: of classes 1...
        unit: of the scale bar, where the slice does not say it.

    Returns:
        Heading and SVG of each.
    """
    height, width = (n * s for n, s in zip(of.reference.shape, of.spacing, strict=True))
    scan = Markup('<image id="{}" width="{:.6g}" height="{:.6g}" preserveAspectRatio="none" href="{}"/>').format(
        key, width, height, png_uri(of.image)
    )
    again = Markup('<use href="#{}"/>').format(key)
    inside = _labels(of.reference, names)
    edge = Markup("").join(outline(of.reference, of.spacing, index, PATH_BYTES // len(inside)) for index in inside)
    truth = filled(of.reference, of.spacing, names)
    predicted = filled(of.prediction, of.spacing, names) + Markup('<g class="truth-edge">{}</g>').format(edge)
    bar = scale_bar(width, height, of.unit or unit) + edge_letters(width, height, of.edges)
    drawn = {
        "scan": (scan + bar, "the scan alone"),
        "truth": (again + truth + bar, f"the expert's {_some(of.reference, names)}"),
        "prediction": (again + predicted + bar, f"the predicted {_some(of.prediction, names)}, truth as dashed outline"),
    }
    box = f"0 0 {width:.6g} {height:.6g}"
    picture = Markup('<svg class="scan" viewBox="{}" role="img" aria-label="{}">{}</svg>')
    return [(name, picture.format(box, f"Case {case}: {told}", content)) for name, (content, told) in drawn.items()]


def _labels(mask: Array, names: Sequence[str]) -> list[int]:
    return [int(k) for k in np.unique(mask) if 0 < k <= len(names)]


def _some(mask: Array, names: Sequence[str]) -> str:
    return ", ".join(names[k - 1] for k in _labels(mask, names)) or "mask, which is empty here"


def filled(mask: Array, spacing: tuple[float, float], names: Sequence[str]) -> Markup:
    """Each structure of a mask (H, W) as a translucent area with a clear border; `spacing` in mm (row, column)."""
    found = _labels(mask, names)
    shape = Markup('<g fill="{0}" stroke="{0}" class="mask">{1}</g>')
    return Markup("").join(shape.format(label_colour(k), outline(mask, spacing, k, PATH_BYTES // len(found))) for k in found)


def outline(mask: Array, spacing: tuple[float, float], index: int, budget: int = PATH_BYTES) -> Markup:
    """The border of one class, half-way between pixels, in mm from the upper left corner; coarser when it is very long.

    `mask` is (H, W) class index, `spacing` its rows and columns in mm, `budget` the most bytes.
    """
    from contourpy import contour_generator

    x, y, inside = membership(mask == index)
    loops = [(np.asarray(loop) + 0.5) * (spacing[1], spacing[0]) for loop in contour_generator(x, y, inside).lines(0.5)]
    nearest = min(spacing) / 8
    while (path := _path(loops, nearest, budget)) is None:
        nearest *= 1.6
    return Markup('<path fill-rule="evenodd" d="{}"/>').format(path)


def _path(loops: Sequence[Array], nearest: float, budget: int) -> str | None:
    """Closed loops; those too small to be seen at this coarseness are left out. None where they are longer than the budget."""
    thin = [points for points in (thinned(loop, nearest) for loop in loops) if len(points) > 2]
    if LEAST_BYTES * sum(map(len, thin)) > budget:
        return None
    path = "".join("M" + "L".join(["%.4g %.4g"] * len(points)) % tuple(points.ravel().tolist()) + "Z" for points in thin)
    return path if len(path) <= budget else None


def thinned(points: Array, nearest: float) -> Array:
    """Points of a line (n, 2), one for each `nearest` of its length."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    kept: Array = points[np.diff(np.floor(along / nearest), prepend=-1) > 0]
    return kept


def scale_bar(width: float, height: float, unit: str) -> Markup:
    """About a quarter of the width long, a round length."""
    length = max((b for b in BARS if b <= 0.34 * width), default=BARS[0])
    size, pad = max(width, height) / 100, max(width, height) / 28
    return Markup(
        '<g class="scale"><path d="M{0:.4g} {1:.4g}h{2:g}" stroke-width="{3:.4g}"/>'
        '<text x="{0:.4g}" y="{4:.4g}" font-size="{5:.4g}">{2:g} {6}</text></g>'
    ).format(pad, height - pad, length, size, height - pad - 1.8 * size, 5.2 * size, unit)


def edge_letters(width: float, height: float, edges: str) -> Markup:
    """R and L, A and P, or S and I at the left, right, upper and lower edge; nothing where the file does not say them."""
    if len(edges) != len(SIDES):
        return Markup("")
    size = max(width, height) / 22
    places = (
        (size * 0.75, height / 2),
        (width - size * 0.75, height / 2),
        (width / 2, size * 1.05),
        (width / 2, height - size * 0.35),
    )
    letters = Markup("").join(
        Markup('<text x="{:.4g}" y="{:.4g}">{}</text>').format(x, y, letter)
        for (x, y), letter in zip(places, edges, strict=True)
    )
    return Markup('<g class="edges" font-size="{:.4g}">{}</g>').format(size, letters)


def png_uri(image: Array) -> str:
    """A picture (H, W) or (H, W, 3) uint8 as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def picture_uri(path: Path) -> str:
    """A picture file as a data URI; a large one is made smaller.

    Raises:
        DataError: not a picture.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
            if path.stat().st_size <= LARGEST_PNG and picture.format == "PNG":
                return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
            small = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a readable picture ({error}); delete it, or run again what made it") from error
    small.thumbnail((WIDEST, 4 * WIDEST))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=84, optimize=True, progressive=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
