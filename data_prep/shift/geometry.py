"""Findings about grids: voxel size, orientation, field of view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from data_prep.amounts import by, cells
from data_prep.shift.domain import Domain
from data_prep.shift.finding import NOTE, WARNING, Finding, factor, listed

SPACING_RATIO = 1.25  # voxels this much longer or shorter are named
COARSE = 1.5  # times the plan's spacing: the target lacks detail that the network was trained on
FIELD_RATIO = 1.25  # a field of view this much larger or smaller is named
FIELD_LARGE = 2.0  # and this much larger is a warning
AXES = {3: ("left-right", "back-front", "foot-head"), 2: ("the first axis", "the second axis")}


def geometry_findings(source: Domain, target: Domain) -> list[Finding]:
    """Findings of the kinds spacing, orientation and size."""
    return [*_unit(source, target), *_spacing(source, target), *_orientation(source, target), *_size(source, target)]


def _unit(source: Domain, target: Domain) -> list[Finding]:
    known = {"source": source.facts["spacing_known"], "target": target.facts["spacing_known"]}
    if len(set(known.values())) == 1:
        return []
    without = next(name for name, stated in known.items() if not stated)
    cell = cells(source.dataset["spatial_dims"])[:-1]
    words = (
        f"The {without}'s files state no {cell} size; a {cell} of theirs is taken for 1 mm, so that structures may differ in "
        "size for the network though they do not in the patient."
    )
    return [Finding("spacing", WARNING, words, *("mm" if known[name] else None for name in ("source", "target")))]


def _spacing(source: Domain, target: Domain) -> list[Finding]:
    a, b = (domain.facts["spacing"]["median"] for domain in (source, target))
    far = [i for i, (x, y) in enumerate(zip(a, b, strict=True)) if max(x / y, y / x) >= SPACING_RATIO]
    if not far:
        return []
    unit = "mm" if target.facts["spacing_known"] else "pixels"
    plan = source.plan["spacing"]
    coarse = [i for i in far if b[i] >= COARSE * plan[i] and b[i] > a[i]]
    parts = [
        f"{factor(b[of[0]] / a[of[0]], 'longer', 'shorter')} along {listed([AXES[len(a)][i] for i in of])} "
        f"({b[of[0]]:.3g} against {a[of[0]]:.3g} {unit})"
        for of in _alike(far, a, b)
    ]
    first = f"Target {cells(len(a))} are {listed(parts)}"
    words = f"{first}; the images are resampled to {by(plan)} {unit} before the network sees them"
    words += ", but finer detail than they hold cannot come back." if coarse else "."
    return [Finding("spacing", WARNING if coarse else NOTE, words, a, b)]


def _alike(axes: Sequence[int], a: Sequence[float], b: Sequence[float]) -> list[list[int]]:
    """Axes with the same two spacings are said in one breath."""
    groups: dict[tuple[float, float], list[int]] = {}
    for i in axes:
        groups.setdefault((a[i], b[i]), []).append(i)
    return list(groups.values())


def _orientation(source: Domain, target: Domain) -> list[Finding]:
    a, b = (Counter(domain.facts["orientations"]) for domain in (source, target))
    if not a or not b or set(b) <= set(a):
        return []
    words = (
        f"Target files are stored as {listed(sorted(b))}, source files as {listed(sorted(a))}; all are turned to RAS before "
        "the network sees them."
    )
    return [Finding("orientation", NOTE, words, dict(a), dict(b))]


def _size(source: Domain, target: Domain) -> list[Finding]:
    unit = "mm" if target.facts["spacing_known"] and source.facts["spacing_known"] else "pixels"
    a, b = (field_of_view(domain) for domain in (source, target))
    ratios = [y / x for x, y in zip(a, b, strict=True)]
    if max(max(r, 1 / r) for r in ratios) < FIELD_RATIO:
        return []
    words = f"Target images cover {by(b)} {unit}, source images {by(a)} {unit}: "
    patch = [n * s for n, s in zip(source.plan["patch_size"], source.plan["spacing"], strict=True)]
    if max(ratios) >= FIELD_RATIO:
        much = max(ratios) >= FIELD_LARGE
        words += "the network meets surroundings that it was not trained on; look for false finds far from the structures."
        return [Finding("size", WARNING if much else NOTE, words, a, b)]
    if any(x * FIELD_RATIO < p for x, p in zip(b, patch, strict=True)):
        words += f"less than a patch of {by(patch)} {unit}, so that a part of each patch is padding."
        return [Finding("size", WARNING, words, a, b)]
    words += "there is less around the structures than the network is used to."
    return [Finding("size", NOTE, words, a, b)]


def field_of_view(domain: Domain) -> list[float]:
    """Median edges of the images in mm, or in pixels or voxels."""
    facts = domain.facts
    return [round(n * s, 1) for n, s in zip(facts["shape"]["median"], facts["spacing"]["median"], strict=True)]
