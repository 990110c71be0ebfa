"""One case against what is usual for its model, as the card's "reference" says: no other case of the batch is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from data_prep.amounts import amount
from monai_hybrid.networks.transfer.names import unified

FEW_LABELS = 3.0  # ranges are widened by 1 + 3 / labels on both sides: few labels show little of what there is
# How far above the largest of the card's scores a case may be. A model is surer of cases it was trained on.
MARGIN = {"validation": 1.5, "training": 2.0}
SLACK = 0.02  # added to that border: tiny scores are noise


class Usual:
    """The reference of a card; what of it is missing or no number is passed over, so an old card flags nothing.

    Args:
        reference: {"volumes": {"unit", "structures": {name: {"min", "max", "cases"}}}, "scores": {"split", column: [...]}}.
            Beside "cases" may stand "earlier": how many of them are those of the model that was adapted.
        unit: of the volumes of this case; those of another unit are not compared.
    """

    def __init__(self, reference: Any, unit: str) -> None:
        reference = reference if isinstance(reference, dict) else {}
        volumes, scores = (reference.get(part) or {} for part in ("volumes", "scores"))
        same = isinstance(volumes, dict) and volumes.get("unit") == unit and isinstance(volumes.get("structures"), dict)
        self.structures = {unified(str(name)): entry for name, entry in volumes["structures"].items()} if same else {}
        self.scores = scores if isinstance(scores, dict) else {}
        self.unit = unit

    def range(self, name: str) -> tuple[float, float, str] | None:
        """Smallest and largest volume that is usual, and where that comes from in words."""
        entry = self.structures.get(unified(name))
        numbers: list[Any] = [entry.get(key) for key in ("min", "max", "cases")] if isinstance(entry, dict) else [None]
        if not all(_is_number(number) and number > 0 for number in numbers):
            return None
        low, high, labels = (float(number) for number in numbers)
        wider = 1 + FEW_LABELS / labels
        earlier = entry.get("earlier") if isinstance(entry, dict) else None
        of_which = f", {earlier:.0f} of them before the adaptation" if _is_number(earlier) and earlier else ""
        source = f"{labels:.0f} training label{'s' if labels != 1 else ''}{of_which}: {amount(low)} to {amount(high)}"
        return low / wider, high * wider, source

    def volume(self, name: str, volume: float) -> list[str]:
        """Why the volume of a structure is odd, or nothing."""
        usual = self.range(name)
        if usual is None or usual[0] <= volume <= usual[1]:
            return []
        word = "little" if volume < usual[0] else "much"
        expected = f"{amount(usual[0])} to {amount(usual[1])} ({usual[2]})"
        return [f"{word} {name}: {amount(volume)} {self.unit}, expected {expected}"]

    def expected(self, names: Sequence[str]) -> str:
        """How much of some structures is usual, in brackets; "" where the card does not say."""
        told = [(name, self.range(name)) for name in names]
        parts = [f"{name} {amount(usual[0])} to {amount(usual[1])} {self.unit}" for name, usual in told if usual]
        return f" (expected {', '.join(parts)})" if parts else ""

    def score(self, column: str, meaning: str, value: float | None) -> list[str]:
        """Why a score is odd, or nothing; low ones never are."""
        listed = self.scores.get(column)
        numbers = [float(n) for n in listed if _is_number(n)] if isinstance(listed, list) else []
        split = str(self.scores.get("split"))
        if not numbers or value is None or split not in MARGIN:
            return []
        border = max(numbers) * MARGIN[split] + SLACK
        if not value > border:
            return []
        cases = f"{len(numbers)} {split} case{'s' if len(numbers) != 1 else ''} of the model: up to {max(numbers):.3g}"
        return [f"{meaning} ({column} {value:.3g}, expected at most {border:.3g}, {cases})"]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
