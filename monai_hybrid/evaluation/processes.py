"""Several processes (torchrun) share the cases of an evaluation: each case is scored once, and rank 0 writes all rows."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from itertools import chain, groupby, zip_longest
from typing import TypeVar

import torch
import torch.distributed as dist

from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.case_table import Row

Case = TypeVar("Case")
_left: list[int] = []  # this process's number, once it has parted from others: a forked child has another


def join_processes() -> None:
    """Meet the other processes that torchrun started; alone, nothing happens."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def leave_processes() -> None:
    """Part from the other processes, when the work is done; this one then ends with exit code 0 and without Python's teardown.

    DistributedDataParallel keeps gloo's threads alive after the group is destroyed. Should one of them want Python while it is
    taken apart, the process is aborted, and torchrun ends the others, which may still be saving (pytorch/pytorch#179291).
    """
    if dist.is_initialized():
        dist.destroy_process_group()
        _left.append(os.getpid())


@atexit.register  # here, at the import: what runs register later (run.json) is done before it
def _end_without_teardown() -> None:
    if os.getpid() in _left and not hasattr(sys, "last_value"):  # set by an error that nobody caught: its exit code stays
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def rank_and_number() -> tuple[int, int]:
    """This process's rank and the number of processes; (0, 1) alone."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def wait_for_all() -> None:
    """Go on when every process has come this far."""
    if dist.is_initialized():
        dist.barrier()


def own_share(cases: Sequence[Case]) -> list[Case]:
    """Every n-th case, from this process's rank on: no case is repeated to make the shares equal, as samplers do.

    Raises:
        DataError: more processes than cases.
    """
    rank, number = rank_and_number()
    if len(cases) < number:
        raise DataError(
            f"{number} processes for {len(cases)} case{'s' * (len(cases) != 1)}: each needs one; "
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
