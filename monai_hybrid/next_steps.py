"""The last line of a command: what to type next, with the paths at hand."""

from __future__ import annotations

import json
from pathlib import Path

from data_prep.free_names import ADAPTED, MASKS, SOURCE, free
from data_prep.quoting import quoted


def after_pretrain(folder: str) -> str:
    """Adapt the model of a run."""
    return f"monai-hybrid adapt --data TARGET --model {quoted(folder)} --shots 3 --output {free(ADAPTED)}"


def after_adapt(folder: str, data: str | None) -> str:
    """Score the adapted model, on the data that it was adapted to; use it, where nobody is held out to score it on."""
    if data and not _has_test_cases(Path(data)):
        return after_evaluate(folder)
    run, given = quoted(folder), quoted(data) if data else "DATA"
    return f"monai-hybrid evaluate --data {given} --model {run} --output {quoted(folder.rstrip('/') + '/eval')}"


def _has_test_cases(folder: Path) -> bool:
    """Whether a prepared data set holds labelled test cases; of a raw one nothing is known yet, so it may."""
    try:
        lists = json.loads((folder / "datalist.json").read_text(encoding="utf-8"))
        return any("label" in case for case in lists["testing"])
    except (OSError, ValueError, KeyError, TypeError):
        return True


def after_evaluate(model: str) -> str:
    """Use the model."""
    return f"monai-hybrid predict IMAGES --model {quoted(model)} --output {free(MASKS)}"


def after_suggest(data: str, model: str) -> str:
    """Masks of all scans that were looked at, to correct those that were chosen; of a prepared data set its training cases."""
    split = " --split training" if (Path(data) / "datalist.json").is_file() else ""
    return f"monai-hybrid predict {quoted(data)} --model {quoted(model)}{split} --output {free(MASKS)}"


def after_predict(folder: str) -> str:
    """Look at the masks."""
    return f"monai-hybrid view {quoted(folder)}"


def no_model(command: str) -> str:
    """What to say where `--model` was left out: which command makes one."""
    return (
        f"{command}: no model was given. Give --model runs/adapted, the folder of a run of monai-hybrid adapt or pretrain. "
        f"To make one: monai-hybrid pretrain --data DATA --output {free(SOURCE)}"
    )
