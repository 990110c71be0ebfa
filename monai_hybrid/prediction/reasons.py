"""Why a case failed, in one line of the log and of the table, and once for all that failed alike."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch

from data_prep.amounts import few, plural
from data_prep.lack_of_memory import lacks_memory
from monai_hybrid.runs.machine_faults import own_error

KINDS, NAMES = 5, 3  # that are told, and cases that are named of each
FILES_AND_NUMBERS = re.compile(r"\S*/\S*|\S+\.[A-Za-z]\S*|\d+")


def reason(error: Exception) -> str:
    """The last cause's own words; for a lack of memory, what to try."""
    if isinstance(error, torch.OutOfMemoryError) or lacks_memory(error):
        said = " ".join(str(error).split())[:120] or type(error).__name__
        tried = "try --sw_batch_size 1, a smaller --patch_size, or --save_probabilities False"
        return f"it does not fit into memory ({said}): {tried}"
    return one_line(error)


def kind_of(said: str) -> str:
    """What reasons of one kind have in common: they differ in names of files and in numbers alone."""
    return FILES_AND_NUMBERS.sub("", said)


def headline(said: str) -> str:
    """The first sentence of a reason: what is wrong, without what to do."""
    return said.split(". ", 1)[0].rstrip(".")


def by_reason(reasons: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each kind of reason, the most frequent first: how many cases, the first of them, and why.

    Args:
        reasons: case id and reason of each that failed.
    """
    kinds: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for case_id, said in reasons:
        kinds[kind_of(said)].append((case_id, said))
    groups = sorted(kinds.values(), key=len, reverse=True)
    lines = [f"{_which([case_id for case_id, _ in group])}: {group[0][1]}" for group in groups[:KINDS]]
    rest = groups[KINDS:]
    return lines + [f"and {plural(sum(map(len, rest)), 'case')} for other reasons"] * bool(rest)


def _which(case_ids: Sequence[str]) -> str:
    return case_ids[0] if len(case_ids) == 1 else f"{len(case_ids)} cases ({few(case_ids, NAMES)})"


def one_line(error: BaseException) -> str:
    """What to tell about a case that failed: our own message, or the kind and text of another library's."""
    own = own_error(error)
    text = str(own) if own is not None else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:600]
