"""`forgetting.json`: what adaptation cost on the source domain, from two evaluations of the same source cases."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.amounts import plural
from data_prep.atomic import replace_file
from monai_hybrid.evaluation.case_table import read_cases
from monai_hybrid.evaluation.comparison import compare
from monai_hybrid.evaluation.summary import ALL, summarize

METRIC = "dice"
BEFORE, AFTER = "source_before", "source_after"


def write_forgetting(folder: Path, source: str, with_before: bool, not_compared: Sequence[str]) -> dict[str, Any]:
    """Compare `source_before/` and `source_after/` under `folder`, and write `forgetting.json` there.

    Form: {"source", "metric": "dice", "cases", "patients", "classes": {name: entry}, "mean": entry, "not_compared",
    "sentence"}.
    An entry is {"before", "after", "difference", "interval"}: means over cases, after minus before, its 95 % bootstrap interval
    over patients; null where there is no model before adaptation, no case with the structure, or a single patient.

    Args:
        source: name of the source data set.
        with_before: whether `source_before/` is of this run.
        not_compared: structures that one side does not know.

    Returns:
        the content.

    Raises:
        DataError: a table is missing, or no case has any of the structures.
    """
    rows = read_cases(folder / AFTER)
    names = list(dict.fromkeys(row["class"] for row in rows))
    nothing = {"before": None, "after": None, "difference": None, "interval": None}
    if with_before:
        entries = _compared(folder)
    else:
        entries = {name: {**nothing, "after": of["mean"]} for name, of in summarize(rows)[METRIC].items()}
    content = {
        "source": source,
        "metric": METRIC,
        "cases": len({row["case_id"] for row in rows}),
        "patients": len({row["patient"] for row in rows}),
        "classes": {name: entries.get(name, nothing) for name in names},
        "mean": entries.get(ALL, nothing),
        "not_compared": list(not_compared),
    }
    content["sentence"] = sentence(content)
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    replace_file(folder / "forgetting.json", lambda path: path.write_text(text, encoding="utf-8"))
    return content


def _compared(folder: Path) -> dict[str, dict[str, Any]]:
    found = [d for d in compare(folder / BEFORE, folder / AFTER) if d.metric == METRIC]
    return {
        d.name: {
            "before": d.mean_a,
            "after": d.mean_b,
            "difference": d.difference,
            "interval": list(d.interval) if d.interval else None,
        }
        for d in found
    }


def sentence(content: Mapping[str, Any]) -> str:
    """The finding in words: a loss or a gain is one when its interval leaves out 0."""
    mean, cases, patients = content["mean"], content["cases"], content["patients"]
    where = f"on {content['source']}, {plural(cases, 'case')} of {plural(patients, 'patient')}"
    if mean["after"] is None:
        return f"None of the structures is there {where}: nothing is known about forgetting."
    if mean["before"] is None:
        return (
            f"This model has a mean Dice of {mean['after']:.3f} {where}; the model before adaptation was not at hand, "
            "so that nothing is known about forgetting."
        )
    change = f"Mean Dice went from {mean['before']:.3f} to {mean['after']:.3f} {where} ({mean['difference']:+.3f}"
    if mean["interval"] is None:
        return f"{change}); one patient says nothing about others."
    low, high = mean["interval"]
    verdict = "it has forgotten" if high < 0 else "it has gained there too" if low > 0 else "no clear change"
    return f"{change}, 95 % interval {low:+.3f} to {high:+.3f}): {verdict}."
