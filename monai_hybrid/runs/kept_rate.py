"""The learning rate of a run that goes on is the one that it began with, whatever the default has become."""

from __future__ import annotations

from pathlib import Path

from monai_hybrid.runs.checkpoint import load_newest


def kept_rate(output_dir: str, resume: bool, rate: float) -> float:
    """The highest learning rate of a run: of its newest checkpoint, where it goes on from one.

    The optimizer keeps it for each group of weights, since the schedule is a factor on it; that of the head is the largest.

    Args:
        output_dir: of the run.
        resume: whether it goes on at all.
        rate: of a run that begins now.
    """
    found = load_newest(Path(output_dir) / "checkpoints", mapped=True) if resume else None
    groups = found[1].get("optimizer", {}).get("param_groups", []) if found is not None else []
    return max((group["initial_lr"] for group in groups if "initial_lr" in group), default=rate)
