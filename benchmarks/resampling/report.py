"""The table and the JSON of the study, from the cases.csv of its runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.resampling import AREA, SAMPLE
from monai_hybrid.evaluation.case_table import read_cases
from monai_hybrid.evaluation.statistics import bootstrap_interval

Scores = dict[tuple[str, str], tuple[str, float]]


def scores(folder: Path) -> Scores:
    """(case, class) -> (patient, Dice) of one evaluation; what is undefined is left out."""
    rows = read_cases(folder)
    return {(row["case_id"], row["class"]): (row["patient"], row["dice"]) for row in rows if row["dice"] is not None}


def summary(root: Path, tests: Sequence[str], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """One entry a test set: mean Dice of each seed and way, and the paired difference with its interval over patients."""
    return [_entry(root, test, seeds) for test in tests]


def _entry(root: Path, test: str, seeds: Sequence[int]) -> dict[str, Any]:
    found = {way: [scores(root / f"{way}_{seed}" / f"eval_{test}") for seed in seeds] for way in (SAMPLE, AREA)}
    common = sorted(set.intersection(*({*of} for runs in found.values() for of in runs)))
    table = {way: np.array([[of[key][1] for key in common] for of in runs]) for way, runs in found.items()}
    difference = (table[AREA] - table[SAMPLE]).mean(axis=0)
    patients = [found[SAMPLE][0][key][0] for key in common]
    return {
        "test": test,
        "cases": len({case for case, _ in common}),
        "patients": len(set(patients)),
        "dice": {way: [round(float(mean), 4) for mean in values.mean(axis=1)] for way, values in table.items()},
        "difference": round(float(difference.mean()), 4),
        "interval": [round(end, 4) for end in bootstrap_interval(difference.tolist(), patients=patients) or ()],
    }


def write_report(root: Path, entries: Sequence[dict[str, Any]], about: dict[str, Any]) -> str:
    """Write resampling.json and give the table as Markdown."""
    (root / "resampling.json").write_text(json.dumps({**about, "results": list(entries)}, indent=1) + "\n")
    lines = [
        "| test set | cases (patients) | sample, each seed | area, each seed | area - sample [95 %] |",
        "|---|---|---|---|---|",
    ]
    for entry in entries:
        each = {way: ", ".join(f"{mean:.3f}" for mean in entry["dice"][way]) for way in (SAMPLE, AREA)}
        ends = " to ".join(f"{end:+.3f}" for end in entry["interval"])
        count = f"{entry['cases']} ({entry['patients']})"
        lines.append(f"| {entry['test']} | {count} | {each[SAMPLE]} | {each[AREA]} | {entry['difference']:+.3f} [{ends}] |")
    return "\n".join(lines)
