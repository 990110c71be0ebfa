"""D315: does the plan keep what is to be learnt?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.ceiling import Ceiling
from data_prep.checks.registry import check


@check(
    "D315",
    on="plan",
    level="warning",
    remedy="Build again with a finer --spacing; where a patch then sees too little of a case, with --budget gpu too",
)
def low_ceiling(ceiling: Mapping[str, Any]) -> str | None:
    """Masks do not survive the planned spacing; a model that learns them there is not expected to do better."""
    found = Ceiling.of(ceiling)
    if found.is_good:
        return None
    better = ceiling.get("finer")
    advice = f'; --spacing "{",".join(f"{edge:g}" for edge in better["spacing"])}" keeps {better["mean"]:.2f}' if better else ""
    return f"{found.in_words()}{advice}"
