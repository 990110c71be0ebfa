"""Cases shared by several processes: each once, in the order of the list."""

from __future__ import annotations

import subprocess
import sys

import pytest

from monai_hybrid.errors import DataError
from monai_hybrid.evaluation import processes
from monai_hybrid.evaluation.processes import gather_rows, in_turn, own_share


@pytest.mark.parametrize(("cases", "number"), [(1, 1), (5, 2), (7, 3), (4, 4)])
def test_shares_put_together_are_the_list(cases: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"c{i}" for i in range(cases)]
    parts = []
    for rank in range(number):
        monkeypatch.setattr(processes, "rank_and_number", lambda rank=rank: (rank, number))
        parts.append([{"case_id": name, "class": c} for name in own_share(ids) for c in ("liver", "spleen")])
    assert in_turn(parts) == [{"case_id": name, "class": c} for name in ids for c in ("liver", "spleen")]


def test_more_processes_than_cases_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "rank_and_number", lambda: (2, 3))
    with pytest.raises(DataError, match="3 processes for 2 cases: each needs one; type torchrun --nproc_per_node 2"):
        own_share(["a", "b"])
    assert own_share(["a", "b", "c"]) == ["c"]


def test_alone_nothing_is_shared() -> None:
    rows = [{"case_id": "a", "class": "liver"}]
    assert gather_rows(rows) is rows and own_share(["a", "b"]) == ["a", "b"]


ENDING = """
import atexit
import torch.distributed as dist
from monai_hybrid.evaluation.processes import leave_processes

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
