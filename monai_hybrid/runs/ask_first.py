"""A run that is to go on is held to its checkpoint before it writes anything: a refused one leaves the folder as it was."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist

from monai_hybrid.runs.checkpoint import load_newest
from monai_hybrid.runs.same_run import describe_cases, flat, refuse_another_run
from monai_hybrid.screen import write_log
from monai_hybrid.weights import checksum, load_weights


def ask_first(
    output_dir: str, resume: bool, cases: Sequence[Mapping[str, Any]], plan: Mapping[str, Any], model: str | None = None
) -> None:
    """Refuse to go on with another run than that of the newest checkpoint; `claim_run` has compared the settings.

    Args:
        output_dir: of the run, whose log begins here when it goes on.
        resume: whether it is to go on at all.
        cases: of the training, in their order.
        plan: spacing, patch size, normalisation and network.
        model: file that the run starts from or learns from; None: none.

    Raises:
        ConfigError, DataError: as `Checkpoint.restore`, which asks again.
        ModelFileError: no checkpoint can be read, or not the model.
    """
    if resume:
        _ask(output_dir, cases, plan, model)
    if idist.get_rank() == 0:
        write_log(output_dir)


def ask_before_drawing(
    output_dir: str, cases: Sequence[Mapping[str, Any]], plan: Mapping[str, Any], model: str, drawn: Collection[str]
) -> None:
    """`ask_first` of a run that goes on, before minutes are spent on images that are still to be drawn.

    Args:
        output_dir, plan, model: as there.
        cases: all others.
        drawn: ids of the cases to draw.

    Raises:
        ConfigError, DataError, ModelFileError: as `ask_first`.
    """
    _ask(output_dir, cases, plan, model, drawn)


def _ask(
    output_dir: str,
    cases: Sequence[Mapping[str, Any]],
    plan: Mapping[str, Any],
    model: str | None,
    left_out: Collection[str] = (),
) -> None:
    found = load_newest(Path(output_dir) / "checkpoints", mapped=True)
    if found is not None and {"cases", "plan"} <= found[1].keys():
        state = {**found[1], "cases": [case for case in found[1]["cases"] if case[0] not in left_out]}
        now = checksum(load_weights(model)) if model else None
        refuse_another_run(state, found[0], describe_cases(cases), flat(plan), (model, now) if model else None)
