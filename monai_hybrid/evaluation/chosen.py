"""Which cases of an evaluation a person should see: best, median, worst, and all with a missed or invented structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.case_table import read_cases
from monai_hybrid.evaluation.status import INVENTED, MISSED
from monai_hybrid.evaluation.summary import within_case

MOST = 30  # cases in three planes


def best_median_worst(dice_by_case: Mapping[str, float]) -> dict[str, list[str]]:
    """Case -> what it is of "best", "median", "worst"; fewer entries when there are fewer cases."""
    ordered = sorted(dice_by_case, key=lambda case: (dice_by_case[case], case))[::-1]
    chosen: dict[str, list[str]] = {}
    for role, case in zip(("best", "median", "worst"), (ordered[0], ordered[len(ordered) // 2], ordered[-1]), strict=True):
        chosen.setdefault(case, []).append(role)
    if len(ordered) == 2:  # of two cases neither is the middle one
        chosen = {ordered[0]: ["best"], ordered[1]: ["worst"]}
    return chosen


def worth_seeing(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Case -> why: "best", "median", "worst", and what was missed or invented (lowest Dice first); at most `MOST`."""
    dice = within_case([row for row in rows if row.get("dice") is not None], "dice")
    chosen = best_median_worst(dice) if dice else {}
    wrong: dict[str, list[str]] = {}
    for row in rows:
        if row["status"] in (MISSED, INVENTED):
            wrong.setdefault(row["case_id"], []).append(f"{row['class']} {row['status']}")
    order = [*chosen, *sorted(wrong.keys() - chosen.keys(), key=lambda case: (dice.get(case, 0.0), case))]
    return {case: [*chosen.get(case, []), *wrong.get(case, [])] for case in order[:MOST]}


def kept_cases(folder: Path, cases: Sequence[str], first: int = MOST) -> list[str]:
    """Those of `cases` that an evaluation keeps for its report: by its `cases.csv`; without one the `first` ones."""
    try:
        wanted = list(worth_seeing(read_cases(folder)))
    except DataError:
        wanted = list(cases)[:first]
    return [case for case in cases if case in wanted]
