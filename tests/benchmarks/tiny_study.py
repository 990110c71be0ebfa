"""A study of seconds on the phantom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.label_efficiency.runner import Runner
from benchmarks.label_efficiency.study import Study, parse_study

TINY: dict[str, Any] = {
    "name": "tiny",
    "source": {"site": "A", "cases": 10, "build": {"spacing": "6,6,6", "val_fraction": 0.3}},
    "target": {"site": "B", "cases": 6, "seed": 1, "build": {"spacing": "6,6,6", "val_fraction": 0.0, "test_fraction": 0.34}},
    "spacing": [6, 6, 6],
    "patch_size": [12, 16, 12],
    "network": {
        "channels": [8, 16],
        "num_res_blocks": [1, 1],
        "attention_levels": [False, False],
        "num_head_channels": 8,
    },
    "pretrain": {"updates": 3, "curve": 2, "batch_size": 2},
    "finetune": {"updates": {1: 2, 3: 3}, "batch_size": 2},
    "shots": [0, 1, 3],
    "draws": 1,
    "seeds": 1,
    "learning_rates": [0.0001, 0.01],
    "source_test_cases": 1,
    "arms": ["scratch", "supervised", "hybrid"],
}


# The same on slices, at a third of the time. What a study does is the same; `test_nnunet_study.py` runs one on volumes.
FLAT = {
    **TINY,
    "source": {"site": "A", "dims": 2, "cases": 10, "build": {"spacing": "6,6", "val_fraction": 0.3}},
    "target": {**TINY["target"], "dims": 2, "build": {**TINY["target"]["build"], "spacing": "6,6"}},
    "spacing": [6, 6],
    "patch_size": [12, 16],
}


def tiny(**changes: Any) -> Study:
    """The study, changed."""
    return parse_study({**TINY, **changes})


def flat(**changes: Any) -> Study:
    """The study on slices, changed."""
    return parse_study({**FLAT, **changes})


def runner(folder: Path, study: Study, told: list[str] | None = None) -> Runner:
    """A runner that tells into a list."""
    lines = [] if told is None else told
    return Runner(study, folder, folder, tell=lines.append)
