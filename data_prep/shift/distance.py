"""How far the images of one data set lie from those of another: one number, of parts that say why. No label counts.

A part of 1 is about what the shift report calls a warning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.shift.content import CURVE_WARNING, channel_findings, curve_findings
from data_prep.shift.domain import Domain
from data_prep.shift.finding import WARNING, Finding
from data_prep.shift.geometry import field_of_view, geometry_findings

PARTS = ("grey values", "voxel size", "field of view", "channels", "modality")


def image_findings(source: Domain, target: Domain) -> list[Finding]:
    """The findings of a shift report that need no label, warnings first."""
    found = [*channel_findings(source, target), *curve_findings(source, target), *geometry_findings(source, target)]
    return sorted(found, key=lambda finding: finding.level != WARNING)


def parts(source: Domain, target: Domain) -> dict[str, float]:
    """The parts of the distance.

    grey values: mean distance of the quantile curves over the range, 0.1 counts 1. voxel size, field of view: mean over the
    axes of |log2| of the ratio, so that twice as long counts 1. channels: 1 where their numbers differ. modality: 1 where both
    state one and they differ.
    """
    a, b = (domain.quantiles.mean(axis=0) for domain in (source, target))
    grey = float(np.mean([np.abs(x - y).mean() / 2 for x, y in zip(a, b, strict=False)]))
    kinds = [str(domain.dataset.get("modality") or "unknown").upper() for domain in (source, target)]
    values = (
        grey / CURVE_WARNING,
        _doublings(*(domain.facts["spacing"]["median"] for domain in (source, target))),
        _doublings(field_of_view(source), field_of_view(target)),
        float(len(a) != len(b)),
        float(len(set(kinds)) == 2 and "UNKNOWN" not in kinds),
    )
    return {name: round(value, 3) for name, value in zip(PARTS, values, strict=True)}


def _doublings(a: Sequence[float], b: Sequence[float]) -> float:
    return float(np.abs(np.log2(np.asarray(b, float) / np.asarray(a, float))).mean())
