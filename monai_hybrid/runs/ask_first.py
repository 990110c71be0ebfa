"""A run that is to go on is held to its checkpoint before it writes anything: a refused one leaves the folder as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    found = load_newest(Path(output_dir) / "checkpoints", mapped=True) if resume else None
    if found is not None and {"cases", "plan"} <= found[1].keys():
        now = checksum(load_weights(model)) if model else None
        refuse_another_run(found[1], found[0], describe_cases(cases), flat(plan), (model, now) if model else None)
    if idist.get_rank() == 0:
        write_log(output_dir)
