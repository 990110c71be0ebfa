"""A full disk, no memory, a killed loader: one sentence and exit code 5."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from data_prep.phantom import generate
from monai_hybrid.bundle.data import prepare_data
from monai_hybrid.bundle.start import one_line_errors
from monai_hybrid.errors import EnvironmentFault
from monai_hybrid.runs.machine_faults import machine_fault

ALLOCATOR = (
    "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.\nmore"
)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left", "/tmp/none/a.pt"), r"/tmp/none/a.pt: .*No space left \(\d+ MB"),
        (OSError(errno.ENOSPC, "No space left"), "a file: cannot be read or written: No space left; free some"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/tmp/none/a.pt"), r"Disk quota exceeded \(\d+ MB .*; free some space"),
        (OSError(errno.EFBIG, "File too large"), "File too large"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x: cannot be read or written: Permission denied"),
        (MemoryError(), r"not enough memory \(MemoryError\); use a smaller batch_size"),
        (RuntimeError(ALLOCATOR), r"you tried to allocate 9 bytes\); use a smaller"),
        (RuntimeError("can't start new thread"), r"not enough memory \(can't start new thread\); use a smaller"),
        (RuntimeError("could not create a primitive"), r"not enough memory \(could not create a primitive\); use a smaller"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), r"not enough memory \(.*Cannot allocate memory\); use a smaller"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB."), "CUDA out of memory. Tried .*--use_checkpointing"),
        (RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed."), "a loader process was killed, .*_workers"),
    ],
)  # fmt: skip
def test_faults_of_the_machine_are_one_sentence(error: Exception, message: str) -> None:
    outer = RuntimeError("Failed to evaluate ConfigExpression")
    outer.__cause__ = error
    fault = machine_fault(outer)
    assert fault is not None and fault.exit_code == 5 and "\n" not in str(fault)
    assert "What is finished stays: a training goes on with --resume True" in str(fault)
    with pytest.raises(type(fault), match=message):
        raise fault


@pytest.mark.parametrize(
    "error", [None, ValueError("can't allocate memory"), FileNotFoundError(errno.ENOENT, "x"), RuntimeError("a")]
)
def test_other_errors_are_not_blamed_on_the_machine(error: Exception | None) -> None:
    assert machine_fault(error) is None


def test_the_hook_says_it_and_ctrl_c_has_its_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[BaseException] = []
    for error, code, message in (
        (MemoryError(), 5, "\nerror: not enough memory"),
        (KeyboardInterrupt(), 130, "\nstopped by SIGINT; what is written is whole"),
    ):
        monkeypatch.setattr(sys, "excepthook", lambda kind, e, trace: shown.append(e))
        one_line_errors()
        with pytest.raises(SystemExit) as ended:
            sys.excepthook(type(error), error, None)
        assert ended.value.code == code and capsys.readouterr().err.startswith(message) and not shown


def test_a_real_allocation_that_fails_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    fault = machine_fault(caught.value)
    assert fault is not None and "not enough memory" in str(fault)


class Killed(torch.utils.data.Dataset):
    """Its loader process dies by the kernel's hand, as it does for want of memory."""

    def __init__(self, number: int | None) -> None:
        self.number = number

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        if index == self.number:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


def test_a_loader_process_that_is_really_killed_is_recognised() -> None:
    assert [int(i) for i in torch.utils.data.DataLoader(Killed(None), num_workers=1)] == [0, 1]
    with pytest.raises(RuntimeError) as caught:
        list(torch.utils.data.DataLoader(Killed(1), num_workers=1))
    fault = machine_fault(caught.value)
    assert fault is not None and "a loader process was killed" in str(fault) and "smaller num_workers" in str(fault)


def test_a_quota_on_the_cache_ends_in_one_sentence_and_the_next_run_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prepared data and the mark that they are whole: what the quota cuts off is made again."""
    generate(tmp_path / "raw", cases=5, site="A", seed=0, dims=2)
    real, written = Path.replace, []

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == "plan.json" and not written:
            written.append(target)
            raise OSError(errno.EDQUOT, "Disk quota exceeded", str(self))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(
        EnvironmentFault, match=r"plan.json: cannot be written: Disk quota exceeded: .* needed, .* free\. Type: df -h"
    ):
        prepare_data(str(tmp_path / "raw"), str(tmp_path / "run"), budget="cpu")
    prepared = tmp_path / "run/data/raw"
    assert written and not (prepared / "plan.json").exists() and not (prepared / "source.sha256").exists()
    assert len(prepare_data(str(tmp_path / "raw"), str(tmp_path / "run"), budget="cpu").training) >= 3


def test_a_compiler_that_fails_is_named() -> None:
    from torch._inductor.exc import CppCompileError

    fault = machine_fault(CppCompileError(["g++", "x.cpp"], "g++: not found"))
    assert fault is not None and "torch.compile failed (C++ compile error)" in str(fault)
    assert "train without --compile True" in str(fault)
