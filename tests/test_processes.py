"""Meeting and parting of several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from warm import run_module

from monai_hybrid.processes import join_processes

ROOT = Path(__file__).parents[1]
MEETING = """
import torch.distributed as dist
from monai_hybrid.processes import join_processes, leave_processes, rank_and_number

join_processes({backend!r})
print(dist.is_initialized(), *rank_and_number())
leave_processes()
"""


@pytest.mark.parametrize(("backend", "words"), [("", "False 0 1"), ("gloo", "True 0 1")])
def test_a_process_that_is_alone_makes_a_group_where_a_backend_is_named(backend: str, words: str) -> None:
    """As DistributedDataParallel needs one under `torchrun --nproc_per_node 1`."""
    launch = ["--standalone", "--nproc_per_node", "1", "--no-python"]
    script = [sys.executable, "-c", MEETING.format(backend=backend)]
    done = run_module("torch.distributed.run", [*launch, *script], ROOT, {**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout.strip()) == (0, words), done.stderr


def test_who_has_met_the_others_does_not_meet_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "init_process_group", lambda *_: pytest.fail("met twice"))
    join_processes("gloo")


@pytest.mark.parametrize(
    ("backend", "device", "expected"),
    [
        ("", None, ["cuda:3", "nccl"]),
        ("gloo", "cpu", ["gloo"]),  # processes on the CPU of a machine with fewer GPUs
        ("gloo", torch.device("cuda:1"), [torch.device("cuda:1"), "gloo"]),
    ],
)
def test_a_gpu_is_taken_by_who_computes_on_one(
    backend: str, device: Any, expected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", done.append)
    monkeypatch.setattr(dist, "init_process_group", done.append)
    join_processes(backend, device)
    assert done == expected


ENDING = """
import atexit
import torch.distributed as dist
from monai_hybrid.processes import leave_processes

class Alive:
    def __del__(self):
        print("torn down")

alive = Alive()
atexit.register(print, "written")
if {several}:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
leave_processes()
print("done")
"""


@pytest.mark.parametrize(("several", "words"), [(True, ["done", "written"]), (False, ["done", "written", "torn down"])])
def test_having_left_the_others_a_process_ends_without_teardown_and_loses_nothing(several: bool, words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", ENDING.format(several=several)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split("\n")[:-1]) == (0, words), done.stderr


def test_a_failure_after_parting_is_not_hidden() -> None:
    failing = ENDING.format(several=True).replace('print("done")', 'raise ValueError("late")')
    assert subprocess.run([sys.executable, "-c", failing], capture_output=True, check=False).returncode == 1
