"""Several processes (torchrun): meeting, numbering and parting, for training and evaluation alike."""

from __future__ import annotations

import atexit
import os
import sys

import torch
import torch.distributed as dist

_left: list[int] = []  # this process's number, once it has parted from others: a forked child has another


def join_processes(backend: str = "", device: str | torch.device | None = None) -> None:
    """Meet the other processes that torchrun started; without a backend a process that is alone stays so.

    Args:
        backend: of torch.distributed; a process that is alone makes a group of one then, which DistributedDataParallel needs.
            Default: nccl with CUDA, else gloo.
        device: this process's; CUDA takes it for its current one. Default: the GPU of its rank, if any.
    """
    if dist.is_initialized() or not (backend or int(os.environ.get("WORLD_SIZE", "1")) > 1):
        return
    if device is None and torch.cuda.is_available():
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    cuda = device is not None and torch.device(device).type == "cuda"
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group(backend or ("nccl" if cuda else "gloo"))


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
