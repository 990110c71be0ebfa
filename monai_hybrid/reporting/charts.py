"""Small charts as inline SVG: they scale, print, and take the page's colours in light and in dark.

matplotlib, which draws the pictures (`figures.py`), writes SVG with fixed colours, which are lost on a dark page, and no names
to point at. Forty cases in three runs: 46 kB and 41 ms by it, 14 kB and 2 ms here, with the name of each case
(`python -m benchmarks.own_parts chart`). Libraries that draw in the browser would bring megabytes of script into the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 440, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 14, 40
SERIES = 6  # colours in report.css
MOST_POINTS, MOST_CASES = 300, 150  # that are drawn; means are over all


@dataclass(frozen=True)
class Scale:
    """A linear axis: values low..high to pixels start..end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.start + share * (self.end - self.start), 2)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) that cover low..high.

    Raises:
        ValueError: a bound that is not finite.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"an axis needs finite bounds, got {low} to {high}")
    span = high - low or abs(high) or 1.0
    rough = span / max(wanted - 1, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.75)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    x_name: str,
    y_name: str,
    y_range: tuple[float, float] | None = None,
) -> Markup:
    """One line a series; points that are not finite leave a gap.

    Raises:
        ValueError: no finite point.
    """
    points = [(x, y) for of in series.values() for x, y in of if math.isfinite(y)]
    if not points:
        raise ValueError("no finite point to draw")
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    marks = ticks(*(y_range or (min(0.0, *ys), max(ys))))
    x = Scale(min(xs), max(xs), LEFT + 8, WIDTH - RIGHT - 8)
    y = Scale(marks[0], marks[-1], HEIGHT - BOTTOM, TOP)
    x_marks = [t for t in ticks(min(xs), max(xs), 6) if min(xs) <= t <= max(xs) and (t == int(t) or x_name != "epoch")]
    parts = [_frame(y, marks, y_name), _x_axis(x, x_marks or [min(xs)], x_name)]
    parts += [_line(i, [(x(a), y(b)) if math.isfinite(b) else None for a, b in of]) for i, of in enumerate(series.values())]
    return _svg(title, Markup("").join(parts), series)


def _line(index: int, points: Sequence[tuple[float, float] | None]) -> Markup:
    path, pen_up = "", True
    for point in points:
        if point is not None:
            path += f"{'M' if pen_up else 'L'}{point[0]:g} {point[1]:g}"
        pen_up = point is None
    dots = Markup("").join(Markup('<circle cx="{}" cy="{}" r="2.6"/>').format(*p) for p in points if p)
    few = len(points) <= 40
    return Markup('<g class="s{}"><path class="line" d="{}"/>{}</g>').format(index % SERIES, path, dots if few else "")


def against(points: Sequence[tuple[float, float, str, tuple[float, float]]], title: str, x_name: str, y_name: str) -> Markup:
    """Points of 0..1 against 0..1 around the diagonal, each with its interval along x.

    Args:
        points: x, y, name, and the ends of the interval.
        title: read aloud instead of the picture.
        x_name, y_name: of the axes.
    """
    x, y = Scale(0, 1, LEFT + 8, WIDTH - RIGHT - 8), Scale(0, 1, HEIGHT - BOTTOM, TOP)
    marks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    parts = [_frame(y, marks, y_name), _x_axis(x, marks, x_name)]
    parts.append(Markup('<path class="thread" d="M{} {}L{} {}"/>').format(x(0), y(0), x(1), y(1)))
    for a, b, name, (low, high) in points[:MOST_POINTS]:
        parts.append(
            Markup(
                '<g class="s0"><path class="thread" d="M{} {}H{}"/>'
                '<circle cx="{}" cy="{}" r="3"><title>{}: {:.2f}, measured {:.2f}</title></circle></g>'
            ).format(x(low), y(b), x(high), x(a), y(b), name, a, b)
        )
    return _svg(title, Markup("").join(parts), {})


def paired_points(
    runs: Mapping[str, Mapping[str, float]],
    means: Mapping[str, tuple[float, tuple[float, float] | None]],
    title: str,
    y_name: str,
) -> Markup:
    """Each case as a thin line from run to run; each run's mean with its interval beside its points.

    Args:
        runs: run -> case -> value.
        means: run -> mean and interval.
        title: read aloud instead of the picture.
        y_name: of the axis.

    Raises:
        ValueError: no value.
    """
    values = [v for of in runs.values() for v in of.values()]
    if not values:
        raise ValueError("no value to draw")
    marks = ticks(max(0.0, min(values) - 0.03), min(1.0, max(values) + 0.03))
    y = Scale(marks[0], marks[-1], HEIGHT - BOTTOM, TOP)
    slot = (WIDTH - LEFT - RIGHT) / len(runs)
    at = {name: LEFT + slot * (i + 0.5) for i, name in enumerate(runs)}
    cases = list(dict.fromkeys(case for of in runs.values() for case in of))[:MOST_CASES]
    parts = [_frame(y, marks, y_name)]
    for case in cases:
        points = [(at[name], y(of[case])) for name, of in runs.items() if case in of]
        path = "".join(f"{'L' if i else 'M'}{a:g} {b:g}" for i, (a, b) in enumerate(points))
        parts.append(Markup('<path class="thread" d="{}"><title>{}</title></path>').format(path, case))
    for index, (name, of) in enumerate(runs.items()):
        dots = Markup("").join(
            Markup('<circle cx="{:g}" cy="{}" r="3.4"><title>{}: {:.3f}</title></circle>').format(at[name], y(of[c]), c, of[c])
            for c in cases
            if c in of
        )
        mean = _mean_mark(at[name] + min(24, slot / 4), y, *means[name])
        label = Markup('<text class="tick" x="{:g}" y="{}" text-anchor="middle">{}</text>').format(
            at[name], HEIGHT - BOTTOM + 18, shortened(name, int(slot / 7.5))
        )
        hue = (len(runs) - 1 - index) % SERIES  # the last run, which the report is about, has the first colour
        parts.append(Markup('<g class="s{}">{}{}</g>{}').format(hue, dots, mean, label))
    return _svg(title, Markup("").join(parts), {})


def _mean_mark(x: float, y: Scale, mean: float, interval: tuple[float, float] | None) -> Markup:
    whisker = Markup("")
    if interval:
        whisker = Markup('<path class="whisker" d="M{0:g} {1}V{2}"/>').format(x, y(interval[0]), y(interval[1]))
    number = Markup('<text class="value" x="{:g}" y="{}">{:.2f}</text>').format(x + 8, y(mean) + 4, mean)
    return Markup('{}<rect class="mean" x="{:g}" y="{:g}" width="9" height="9" transform="rotate(45 {:g} {:g})"/>{}').format(
        whisker, x - 4.5, y(mean) - 4.5, x, y(mean), number
    )


def interval_strip(values: Sequence[float], mean: float, interval: tuple[float, float] | None, title: str) -> Markup:
    """Every case as a dot on 0..1, the interval as a bar, the mean as a line; as wide as its cell."""
    x = Scale(0, 1, 4, 156)
    dots = Markup("").join(Markup('<circle cx="{}" cy="8" r="2.2"/>').format(x(v)) for v in values[:300])
    bar = Markup("")
    if interval:
        low, high = x(interval[0]), x(interval[1])
        bar = Markup('<rect class="bar" x="{:g}" y="2.5" width="{:g}" height="11" rx="2"/>').format(low, max(high - low, 1))
    mark = Markup('<path class="mean" d="M{0:g} 0.5V15.5"/>').format(x(mean))
    return Markup(
        '<svg class="strip" viewBox="0 0 160 16" role="img" aria-label="{}">'
        '<path class="base" d="M4 4V12M4 8H156M156 4V12"/>{}{}{}</svg>'
    ).format(title, bar, dots, mark)


def shortened(text: str, length: int) -> str:
    """The text, cut with an ellipsis."""
    return text if len(text) <= max(length, 4) else text[: max(length, 4) - 1] + "…"


def _frame(y: Scale, marks: Sequence[float], name: str) -> Markup:
    """Grid lines with their numbers, and the name of the axis."""
    digits = max(0, -math.floor(math.log10(marks[1] - marks[0]) + 1e-9)) if len(marks) > 1 else 2
    rows = [
        Markup('<path class="grid" d="M{} {}H{}"/><text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
            LEFT, y(m), WIDTH - RIGHT, LEFT - 7, y(m) + 4, f"{m:.{digits}f}"
        )
        for m in marks
    ]
    middle = (TOP + HEIGHT - BOTTOM) / 2
    label = Markup('<text class="name" transform="translate(11 {:g}) rotate(-90)" text-anchor="middle">{}</text>').format(
        middle, name
    )
    return Markup("").join([*rows, label])


def _x_axis(x: Scale, marks: Sequence[float], name: str) -> Markup:
    y = HEIGHT - BOTTOM
    numbers = [
        Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{:g}</text>').format(x(m), y + 17, m) for m in marks
    ]
    label = Markup('<text class="name" x="{:g}" y="{}" text-anchor="middle">{}</text>').format(
        (x.start + x.end) / 2, y + 34, name
    )
    return Markup("").join([*numbers, label])


def _svg(title: str, content: Markup, legend: Mapping[str, object]) -> Markup:
    entries = Markup("").join(
        Markup('<li class="s{}"><span></span>{}</li>').format(i % SERIES, name) for i, name in enumerate(legend)
    )
    key = Markup('<ul class="key">{}</ul>').format(entries) if len(legend) > 1 else ""
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>{}').format(
        WIDTH, HEIGHT, title, content, key
    )
