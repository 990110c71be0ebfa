"""Is a run that is to go on at its end already? Then nothing is done, and no file of it changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_hybrid.errors import HybridError, ModelFileError
from monai_hybrid.weights import read_card

LENGTH = ("updates", "max_epochs")
FINISHED = "finished"  # on the card of a model, in "training": written by the last handler of a run


class Finished(HybridError):
    """There is nothing to do. No error: the exit code is 0."""

    exit_code = 0


def length_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says of a run's length, unevaluated: numbers, None or expressions."""
    return {name: config.get(name) for name in LENGTH}


def leave_finished(folder: Path, state: Mapping[str, Any], length: Mapping[str, Any]) -> None:
    """Leave a run alone that has all its updates and whose end was reached.

    Args:
        folder: of the run.
        state: its newest checkpoint.
        length: of now, see `length_of`.

    Raises:
        Finished: with what to type for more.
    """
    done, total = state["update"], total_of(state)
    wanted = total if state.get("length") == dict(length) else _wanted(length, state["epoch_length"], total)
    if done < wanted or not _ended(folder, done):
        return
    less = f", {wanted} are asked for" if wanted < done else ""
    raise Finished(
        f"{folder}: this run is finished, update {done} of {done}{less}; nothing is done. For a longer one give more --updates "
        "or --max_epochs with --resume True; --overwrite True begins anew"
    )


def total_of(state: Mapping[str, Any]) -> int:
    """Updates of the run that a checkpoint is of; earlier versions counted whole epochs."""
    return int(state.get("total", state["epoch_length"] * state["max_epochs"]))


def _wanted(length: Mapping[str, Any], per_epoch: int, total: int) -> int:
    """Updates asked for now; where the configuration computes them, as many as there were, for the cases are the same."""
    updates, epochs = (value if isinstance(value, int) else None for value in (length[name] for name in LENGTH))
    if updates is not None:
        return updates
    return total if epochs is None else epochs * per_epoch


def _ended(folder: Path, done: int) -> bool:
    """Whether the model in the folder is that of this many updates, with all that the end of a run adds to its card."""
    try:
        card = read_card(folder / "models/model.safetensors") or {}
    except ModelFileError:
        return False
    training, reference = card.get("training") or {}, card.get("reference") or {}
    # Before the card said so, scores or a verdict on it did.
    ended = training.get(FINISHED, "scores" in reference or bool(training.get("safety_stop")))
    return bool(ended) and training.get("updates") == done and (folder / "models/model.pt").is_file()
