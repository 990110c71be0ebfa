"""Why a case failed, in one line of the log and of the table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import torch

from data_prep.lack_of_memory import lacks_memory
from monai_hybrid.runs.machine_faults import own_error

FILES_AND_NUMBERS = re.compile(r"\S*/\S*|\S+\.[A-Za-z]\S*|\d+")


def reason(error: Exception) -> str:
    """The last cause's own words; for a lack of memory, what to try."""
    if isinstance(error, torch.OutOfMemoryError) or lacks_memory(error):
        said = " ".join(str(error).split())[:120] or type(error).__name__
        return f"it does not fit into memory ({said}): try --sw_batch_size 1, or --save_probabilities False"
    return one_line(error)


def commonest(reasons: Sequence[tuple[str, str]]) -> str:
    """The reason of most failed cases, with their number and the first of them.

    Reasons are alike where they differ in names of files and in numbers alone.

    Args:
        reasons: case id and reason of each, at least one.
    """
    kinds = [FILES_AND_NUMBERS.sub("", said) for _, said in reasons]
    kind, number = Counter(kinds).most_common(1)[0]
    case_id, said = reasons[kinds.index(kind)]
    said = said.rstrip(". ")
    if number == 1:
        return f"{case_id}: {said}" if len(reasons) == 1 else f"the first, {case_id}: {said}"
    return f"{'all' if number == len(reasons) else number} for one reason, such as {case_id}: {said}"


def one_line(error: BaseException) -> str:
    """What to tell about a case that failed: our own message, or the kind and text of another library's."""
    own = own_error(error)
    text = str(own) if own is not None else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:600]
