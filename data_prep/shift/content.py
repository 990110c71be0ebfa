"""Findings about what is in the images: grey values, contrast, volumes, channels, structures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.fingerprint import small_unit
from data_prep.shift.domain import LEVELS, Domain
from data_prep.shift.finding import NOTE, WARNING, Finding, factor, listed

# Shares of the grey range after normalisation, which is [-1, 1].
CURVE_NOTE, CURVE_WARNING = 0.05, 0.10  # mean distance of the two quantile curves
CONTRAST = 0.05  # smaller ones have no direction to speak of
CONTRAST_RATIO, CONTRAST_NOTE, CONTRAST_WARNING = 2.0, 0.10, 0.20  # weaker or stronger by this factor, and by this much
VOLUME_NOTE, VOLUME_WARNING = 1.25, 2.0  # ratio of the medians


def content_findings(source: Domain, target: Domain) -> list[Finding]:
    """Findings of the kinds channels, labels, intensity and volume."""
    shared = [name for name in source.structures if name in target.structures]
    found = [*channel_findings(source, target), *_labels(source, target), *curve_findings(source, target)]
    for name in shared:
        found += [*_contrast(source, target, name), *_volume(source, target, name)]
    return found


def channel_findings(source: Domain, target: Domain) -> list[Finding]:
    """Other channels, and another modality."""
    found = []
    a, b = source.dataset["channels"], target.dataset["channels"]
    if len(a) != len(b) or (len(a) > 1 and a != b):
        words = (
            f"The target's channels are {listed(b)}, the source's {listed(a)}; the model's first layer is rearranged by their "
            "names when it is adapted, and cannot be used without."
        )
        found.append(Finding("channels", WARNING, words, a, b))
    kinds = [str(domain.dataset["modality"]) for domain in (source, target)]
    if kinds[0].upper() != kinds[1].upper() and "unknown" not in kinds:
        words = f"The target is {kinds[1]}, the source {kinds[0]}: pretrain with --contrast_randomisation gin."
        found.append(Finding("channels", WARNING, words, *kinds))
    return found


def _labels(source: Domain, target: Domain) -> list[Finding]:
    found = []
    a, b = source.structures, target.structures
    new, gone = [name for name in b if name not in a], [name for name in a if name not in b]
    if new:
        words = (
            f"The source does not know {listed(new)}; these outputs start fresh and are learnt from the target's labels alone."
        )
        found.append(Finding("labels", WARNING, words, a, b))
    if gone:
        words = f"The target does not know {listed(gone)}; these outputs of the model are dropped when it is adapted."
        found.append(Finding("labels", NOTE, words, a, b))
    for what, domain in (("source", source), ("target", target)):
        absent = [name for name in domain.structures if not domain.facts["label_cases"][name]]
        if absent:
            counts = [{name: of.facts["label_cases"].get(name) for name in absent} for of in (source, target)]
            words = (
                f"No case of the {what} holds {listed(absent)}, though its table of labels has it: it cannot be learnt there."
            )
            found.append(Finding("labels", WARNING, words, *counts))
    return found


def curve_findings(source: Domain, target: Domain) -> list[Finding]:
    """Mean distance of the mean quantile curves, channel by channel: the 1-Wasserstein distance of the grey values."""
    found = []
    curves = [domain.quantiles.mean(axis=0) for domain in (source, target)]
    many = len(curves[0]) > 1
    for i, (a, b) in enumerate(zip(*curves, strict=False)):
        distance = float(np.abs(a - b).mean()) / 2
        if distance < CURVE_NOTE:
            continue
        at = int(np.abs(a - b).argmax())
        where = f" in channel {source.dataset['channels'][i]}" if many else ""
        words = (
            f"After normalisation grey values{where} differ by {distance:.0%} of the range on average, most at the "
            f"{LEVELS[at]:.0%} quantile ({_percent(b[at])} against {_percent(a[at])} of the range): "
            "the model sees tissue in other shades than it was trained on."
        )
        numbers = ([round(float(v), 4) for v in curve[::10]] for curve in (a, b))
        found.append(Finding("intensity", WARNING if distance >= CURVE_WARNING else NOTE, words, *numbers))
    return found


def _percent(value: float) -> str:
    return f"{(value + 1) / 2:.0%}"


def _contrast(source: Domain, target: Domain, name: str) -> list[Finding]:
    if not source.contrasts.get(name) or not target.contrasts.get(name):
        return []
    a, b = (float(np.median(domain.contrasts[name])) for domain in (source, target))
    numbers = f"({abs(b):.0%} against {abs(a):.0%} of the grey range)"
    inverted = a * b < 0 and min(abs(a), abs(b)) >= CONTRAST
    if inverted:
        side = ("darker", "brighter") if b < 0 else ("brighter", "darker")
        words = (
            f"The contrast of {name} is inverted: {side[0]} than its surroundings in the target, {side[1]} in the source "
            f"{numbers}; expect the source model to fail there, unless it was pretrained with --contrast_randomisation gin."
        )
    elif abs(a - b) >= CONTRAST_NOTE and min(abs(a), abs(b)) * CONTRAST_RATIO <= max(abs(a), abs(b)):
        how, then = _less_or_more(abs(b) < abs(a))
        words = f"{_capital(name)} stands out from its surroundings {how} in the target {numbers}: {then}."
    else:
        return []
    level = WARNING if inverted or abs(a - b) >= CONTRAST_WARNING else NOTE
    return [Finding("intensity", level, words, round(a, 4), round(b, 4))]


def _less_or_more(less: bool) -> tuple[str, str]:
    if less:
        return "less", "its border is harder to see than those the model was trained on"
    return "more", "the model was trained to go by other signs of its border"


def _volume(source: Domain, target: Domain, name: str) -> list[Finding]:
    if source.volume_unit != target.volume_unit or not source.volumes[name] or not target.volumes[name]:
        return []
    a, b = _median(source.volumes[name]), _median(target.volumes[name])
    ratio = b / a
    if max(ratio, 1 / ratio) < VOLUME_NOTE:
        return []
    unit, scale = small_unit(source.volume_unit, max(a, b))
    medians = f"median {b * scale:.4g} against {a * scale:.4g} {unit}"
    words = (
        f"{_capital(name)} is {factor(ratio, 'larger', 'smaller')} in the target ({medians}): "
        "other patients, another resolution or another way of drawing it; look at both before pooling."
    )
    return [Finding("volume", WARNING if max(ratio, 1 / ratio) >= VOLUME_WARNING else NOTE, words, a, b)]


def _median(values: Sequence[float]) -> float:
    return float(f"{np.median(values):.6g}")


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
