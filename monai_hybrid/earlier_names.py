"""Names that moved to another room: configurations and checkpoints that were written before still find them."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

# Room of before -> names in it -> the room that has them now.
MOVED: dict[str, dict[str, str]] = {
    "bundle": {
        **dict.fromkeys(("claim_run", "run_settings"), "runs"),
        **dict.fromkeys(("mixed_sampler", "pretraining_sampler"), "engines"),
        **dict.fromkeys(("StartingPoint", "starting_point", "draw_shots", "without_labels", "unlabelled_cases"), "few_shot"),
        **dict.fromkeys(("check_stopping", "choose_epochs", "updates_for"), "few_shot"),
    },
    "engines": {"Checkpoint": "runs"},
    "networks": dict.fromkeys(("make_trainable", "parameter_groups", "trained_weights"), "few_shot"),
}
RENAMED = {"engines.Teacher": "engines.MeanTeacher"}
NAME = re.compile(rf"\b({'|'.join(MOVED)})\.(\w+)")


def moved_from(room: str) -> Callable[[str], Any]:
    """The `__getattr__` of a room that some names have left."""

    def find(name: str) -> Any:
        place = MOVED[room].get(name)
        if place is None:
            raise AttributeError(f"module 'monai_hybrid.{room}' has no attribute {name!r}")
        return getattr(import_module(f"monai_hybrid.{place}"), name)

    return find


def named_as_now(text: str) -> str:
    """A `_target_` or an expression with the rooms of now: `bundle.updates_for(@cases)` -> `few_shot.updates_for(@cases)`."""

    def name_of_now(found: re.Match[str]) -> str:
        return RENAMED.get(found[0], f"{MOVED[found[1]].get(found[2], found[1])}.{found[2]}")

    return NAME.sub(name_of_now, text)
