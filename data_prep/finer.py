"""A finer spacing where the planned one would lose thin structures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from data_prep.ceiling import Ceiling
from data_prep.patches import THIN_SPAN, Room, Spacing, by, coarsened

STEPS = 20  # candidates between two whole factors
GAIN = 0.01  # of Dice: what a finer spacing must bring when it is not enough
Masks = Callable[[Sequence[float]], Ceiling]


def respecting(masks: Masks, target: Spacing, asked: bool, room: Room) -> tuple[Spacing, dict[str, Any], list[str]]:
    """The spacing to take, plan.json's entry about its ceiling, and the sentences about it.

    Args:
        masks: gives the ceiling of a spacing.
        target: planned, or the user's own.
        asked: it is the user's own, and stays.
        room: how fine the budget allows it to be.
    """
    planned = masks(target)
    finer = _finer(target, room) if not planned.is_good else []
    wanted = _coarsest_good(masks, finer)
    chosen = target if asked else _allowed(masks, finer, wanted, planned, room)
    found = masks(chosen)
    entry = found.as_dict()
    reasons = [f"Ceiling: {found.in_words()}."] if found.classes else []
    if chosen != target:
        reasons = [
            f"Spacing {by(chosen)} instead of {by(target)}: there {planned.in_words()}. A patch sees less of a case for it.",
            *reasons,
        ]
    best = wanted or (finer[-1] if finer and masks(finer[-1]).lowest > found.lowest + GAIN else None)
    if not found.is_good and best is not None and best != chosen:
        entry["finer"] = {"spacing": list(best), "mean": masks(best).lowest}
    return chosen, entry, reasons


def _finer(target: Spacing, room: Room) -> list[Spacing]:
    """Spacings between the target and the data's own, from coarse to fine."""
    own = coarsened(room.median, 1)
    steps = int(STEPS * max(wide / fine for wide, fine in zip(target, own, strict=True)))
    found = [coarsened(room.median, 1 + step / STEPS) for step in reversed(range(max(steps - STEPS, 0) + 1))]
    smaller = [one for one in found if all(a <= b for a, b in zip(one, target, strict=True)) and one != tuple(target)]
    return list(dict.fromkeys(smaller))


def _coarsest_good(masks: Masks, finer: Sequence[Spacing]) -> Spacing | None:
    """The coarsest that is good, by halving: what a finer spacing keeps is about no less."""
    if not finer or not masks(finer[-1]).is_good:
        return None
    low, high = 0, len(finer) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if masks(finer[middle]).is_good else (middle + 1, high)
    return finer[high]


def _allowed(masks: Masks, finer: Sequence[Spacing], wanted: Spacing | None, planned: Ceiling, room: Room) -> Spacing:
    """The wanted spacing, or the finest of which a patch still sees a quarter of each axis, where that is better."""
    allowed = [one for one in finer if room.spans(one, THIN_SPAN)]
    if wanted in allowed and wanted is not None:
        return wanted
    if allowed and masks(allowed[-1]).lowest > planned.lowest + GAIN:
        return allowed[-1]
    return planned.spacing
