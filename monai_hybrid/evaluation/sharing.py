"""Several processes (torchrun) share the cases of an evaluation: each case is scored once, and rank 0 writes all rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby, zip_longest
from typing import TypeVar

import torch.distributed as dist

from data_prep.amounts import plural
from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.case_table import Row
from monai_hybrid.processes import rank_and_number

Case = TypeVar("Case")


def own_share(cases: Sequence[Case]) -> list[Case]:
    """Every n-th case, from this process's rank on: no case is repeated to make the shares equal, as samplers do.

    Raises:
        DataError: more processes than cases.
    """
    rank, number = rank_and_number()
    if len(cases) < number:
        raise DataError(
            f"{number} processes for {plural(len(cases), 'case')}: each needs one; "
            f"type torchrun --nproc_per_node {max(len(cases), 1)}"
        )
    return list(cases[rank::number])


def gather_rows(rows: list[Row]) -> list[Row]:
    """The rows of all processes, on each of them, in the order of the data list; a case's rows stay together."""
    number = rank_and_number()[1]
    if number == 1:
        return rows
    parts: list[list[Row]] = [[] for _ in range(number)]
    dist.all_gather_object(parts, rows)
    return in_turn(parts)


def in_turn(parts: Sequence[Sequence[Row]]) -> list[Row]:
    """Undo `own_share`: the first case of each part, then the second of each, and so on."""
    cases = [[list(of) for _, of in groupby(part, key=lambda row: row["case_id"])] for part in parts]
    return list(chain.from_iterable(of for turn in zip_longest(*cases, fillvalue=[]) for of in turn))
