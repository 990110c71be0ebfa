"""What ended a run, in one sentence: an error of ours, a full disk, no right to write, no memory, a killed loader process."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import torch

from data_prep.lack_of_memory import says_memory
from monai_hybrid.errors import EnvironmentFault, HybridError

GO_ON = "What is finished stays: a training goes on with --resume True, any other command when it is typed again"
WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.EMFILE}
BY_WORDS = (RuntimeError, OSError, ImportError, SystemError)
COMPILER = ("torch._dynamo", "torch._inductor")
WORKER = ("is killed by signal", "exited unexpectedly")


def machine_fault(error: BaseException | None) -> EnvironmentFault | None:
    """The first fault of the machine along the chain of causes, in words; None when there is none."""
    while error is not None:
        said = _disk(error) or _worker(error) or _compiler(error) or _memory(error)
        if said:
            return EnvironmentFault(f"{said}. {GO_ON}")
        error = error.__cause__ or error.__context__
    return None


def own_error(error: BaseException | None) -> HybridError | None:
    """The first `HybridError` along the chain of causes, or None."""
    while error is not None:
        if isinstance(error, HybridError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _disk(error: BaseException) -> str | None:
    if not isinstance(error, OSError) or error.errno not in WRITING:
        return None
    where = Path(str(error.filename)) if error.filename else None
    said = f"{where or 'a file'}: cannot be read or written: {error.strerror}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        folder = next((p for p in (where.parent, *where.parents) if p.is_dir()), None) if where else None
        free = "" if " needed, " in said else f" ({shutil.disk_usage(folder).free / 1e6:.0f} MB free there)" if folder else ""
        return f"{said}{free}; free some space or write elsewhere (--output_dir; for a training's volumes --cache_dir)"
    return said


def _memory(error: BaseException) -> str | None:
    if isinstance(error, torch.OutOfMemoryError):
        return f"{_first_line(error)}; use a smaller batch_size or patch_size, or --use_checkpointing True"
    said = says_memory(str(error)) or _says(error, ("out of memory",))
    if isinstance(error, MemoryError) or (isinstance(error, BY_WORDS) and said):
        return (
            f"not enough memory ({_first_line(error) or 'MemoryError'}); "
            "use a smaller batch_size or patch_size; in a training also --cache_dir FOLDER (volumes on disk) or "
            "--use_checkpointing True"
        )
    return None


def _worker(error: BaseException) -> str | None:
    if isinstance(error, RuntimeError) and "DataLoader worker" in str(error) and _says(error, WORKER):
        return f"a loader process was killed, most often for want of memory ({_first_line(error)}); use a smaller num_workers"
    return None


def _compiler(error: BaseException) -> str | None:
    if type(error).__module__.startswith(COMPILER):
        return f"torch.compile failed ({_first_line(error)}); train without --compile True"
    return None


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    return any(word in str(error).lower() for word in words)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(". ") if str(error).strip() else ""
