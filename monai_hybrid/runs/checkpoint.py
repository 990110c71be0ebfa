"""Checkpoint files: whole or absent, plain tensors and numbers, the last two kept."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import torch

from data_prep.atomic import LEFT, replace_file
from data_prep.disk import needing
from data_prep.lack_of_memory import refuse_for_memory
from monai_hybrid.errors import ModelFileError
from monai_hybrid.weights import tensor_bytes, torch_save, unreadable

FORMAT = 1
KEPT = 2
NAME = re.compile(r"update_\d{8,}\.pt")
logger = logging.getLogger("monai_hybrid.checkpoint")


def save_checkpoint(state: dict[str, Any], folder: Path) -> Path:
    """Write `update_<number>.pt`, flushed to the disk before it gets its name, then drop all but the last two.

    Args:
        state: with "update", the number of updates done; tensors, numbers, strings, None, lists and dicts only.
        folder: made if need be.

    Raises:
        OSError: it could not be written; older checkpoints are as they were.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"update_{state['update']:08d}.pt"
    with needing(tensor_bytes(state), path):
        replace_file(path, lambda temporary: torch_save({**state, "format": FORMAT}, temporary))
    for old in checkpoints(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, newest first."""
    return sorted((file for file in folder.glob("update_*.pt") if NAME.fullmatch(file.name)), reverse=True)


def load_newest(folder: Path, device: str | torch.device = "cpu", mapped: bool = False) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that can be read, and its path; None when there is none at all.

    Args:
        mapped: leave the tensors on the disk until they are used.

    Raises:
        ModelFileError: there are some, and all are damaged or of a newer version.
    """
    found = checkpoints(folder)
    for path in found:
        try:
            state = torch.load(path, device, weights_only=True, mmap=mapped)
        except Exception as error:  # torch reports damage through many types
            refuse_for_memory(error, path)
            logger.warning("%s: not readable (%s)", path, unreadable(error))
            continue
        if state.get("format") != FORMAT:
            raise ModelFileError(f"{path}: checkpoint format {state.get('format')}, expected {FORMAT}; update monai_hybrid")
        return path, state
    if found:
        raise ModelFileError(f"{folder}: none of its {len(found)} checkpoints can be read; begin anew with --overwrite True")
    return None


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that a killed run left in `folder`. The caller holds the run's lock."""
    for file in folder.glob(".*.tmp"):
        if LEFT.fullmatch(file.name):
            file.unlink(missing_ok=True)
