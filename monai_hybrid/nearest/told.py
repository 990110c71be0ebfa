"""What a comparison of models with scans says, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.free_names import ADAPTED, free
from data_prep.home import at_home
from data_prep.layouts.case_folders import is_case_folders
from data_prep.quoting import quoted
from data_prep.shift.finding import listed
from monai_hybrid.nearest.judge import RESEMBLES, Near
from monai_hybrid.next_steps import as_next

# What lies in a prepared data set, and in one of each layout.
WITH_LABELS = ("datalist.json", "labels", "labelsTr", "dataset.json", "dataset_description.json")
SHOWN = 0.3  # parts of the distance that are named


def reason(ranked: Sequence[Near]) -> str:
    """Why the first of a ranking is taken."""
    first, others = ranked[0], ranked[1:]
    if first.resembles:
        return f"{first.model} is the nearest model: {numbers(first)}"
    if not first.universal:
        return f"{first.model} is the nearest model, though it does not resemble these scans: {numbers(first)}"
    near = next((other for other in others if other.score is not None), None)
    least = f" ({near.model}, the nearest: {numbers(near)})" if near else ""
    return f"{first.model} is taken, as no model resembles these scans{least}"


def numbers(near: Near) -> str:
    """Score and denoising error in words."""
    told = [] if near.score is None else [f"score {near.score:.1f}, at most {RESEMBLES:.1f} resembles"]
    far = [f"{name} {value:.1f}" for name, value in near.parts.items() if value >= SHOWN]
    told += [f"of it {listed(far)}"] if far else []
    if near.denoising is not None:
        own = "" if near.usual is None else f", {near.usual:.2f} on its own scans"
        told.append(f"denoising error {near.denoising:.2f}{own}")
    return "; ".join(told) or "nothing could be compared"


def lines(ranked: Sequence[Near], target: str, findings: bool) -> Iterator[str]:
    """All that is printed; with `findings` also the sentences of the shift report."""
    for near in ranked:
        for finding in near.findings if findings else ():
            yield f"{finding.level} ({finding.kind}): {finding.sentence}"
        yield f"{near.model}: {_verdict(near)}. {_capital(numbers(near))}."
    if len(ranked) > 1:
        yield f"Taken by adapt --model auto: {reason(ranked)}."
    place = quoted(target) if _may_have_labels(at_home(target)) else "TARGET"
    yield as_next(f"monai-hybrid adapt --data {place} --model {quoted(ranked[0].model)} --shots 3 --output {free(ADAPTED)}")


def _may_have_labels(target: Path) -> bool:
    """Whether an adaptation could take this folder; scans alone and single images are compared too."""
    return any((target / name).exists() for name in WITH_LABELS) or (target.is_dir() and is_case_folders(target))


def _verdict(near: Near) -> str:
    if near.universal:
        return "a start for any organ, when no other model resembles the scans"
    if near.score is None:
        return "its card keeps no numbers of its training images"
    found = f"its masks are of {listed(near.structures)}"
    return f"resembles your scans; {found}" if near.resembles else f"does not resemble your scans; {found}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
