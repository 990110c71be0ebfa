"""A full disk, no memory, a killed loader: one sentence and exit code 5."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest
import torch

from monai_hybrid.bundle.machine_faults import machine_fault
from monai_hybrid.bundle.start import one_line_errors

ALLOCATOR = (
    "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.\nmore"
)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left", "/tmp/none/a.pt"), r"/tmp/none/a.pt: .*No space left \(\d+ MB"),
        (OSError(errno.ENOSPC, "No space left"), "a file: cannot be read or written: No space left; free some"),
        (OSError(errno.EFBIG, "File too large"), "File too large"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x: cannot be read or written: Permission denied"),
        (MemoryError(), r"not enough memory \(MemoryError\); use a smaller batch_size"),
        (RuntimeError(ALLOCATOR), r"you tried to allocate 9 bytes\); use a smaller"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB."), "CUDA out of memory. Tried .*--use_checkpointing"),
        (RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed."), "a loader process was killed, .*_workers"),
    ],
)  # fmt: skip
def test_faults_of_the_machine_are_one_sentence(error: Exception, message: str) -> None:
    outer = RuntimeError("Failed to evaluate ConfigExpression")
    outer.__cause__ = error
    fault = machine_fault(outer)
    assert fault is not None and fault.exit_code == 5 and "\n" not in str(fault)
    assert "Checkpoints saved before are intact; a training goes on with --resume True" in str(fault)
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
        (KeyboardInterrupt(), 130, "\nstopped by SIGINT"),
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
