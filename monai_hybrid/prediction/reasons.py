"""Why a case failed, in one line of the log and of the table."""

from __future__ import annotations

import torch

from data_prep.lack_of_memory import lacks_memory
from monai_hybrid.runs.machine_faults import own_error


def reason(error: Exception) -> str:
    """The last cause's own words; for a lack of memory, what to try."""
    if isinstance(error, torch.OutOfMemoryError) or lacks_memory(error):
        said = " ".join(str(error).split())[:120] or type(error).__name__
        return f"it does not fit into memory ({said}): try --sw_batch_size 1, or --save_probabilities False"
    return one_line(error)


def one_line(error: BaseException) -> str:
    """What to tell about a case that failed: our own message, or the kind and text of another library's."""
    own = own_error(error)
    text = str(own) if own is not None else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:600]
