"""Which processor a table is of, and an older one imitated: libraries are held to its instructions before they start.

The imitation is of the instructions alone: memory, caches and clock stay this machine's, so ratios are worth more than seconds.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

# PyTorch's own kernels, and oneDNN's, which read these when they start.
ISAS = {
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},  # without its bfloat16
}


def add_isa(parser: argparse.ArgumentParser) -> None:
    """The option `--isa`."""
    parser.add_argument("--isa", choices=ISAS, help="imitate a processor that has no more than these instructions")


def isa_environment(isa: str | None) -> dict[str, str]:
    """What to add to the environment of a process that shall compute with `isa` at most; {} where it is so already."""
    wanted = ISAS[isa] if isa else {}
    return {name: value for name, value in wanted.items() if os.environ.get(name) != value}


def restart_with(added: Mapping[str, str]) -> None:
    """Start this Python command anew with an environment; its children have it too. Returns where there is nothing to add.

    For a main module's first lines: what the process has done before is done again.
    """
    if added:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **added})


def processor() -> str:
    """The processor and what this process computes with: "AMD EPYC, 2 cores, AVX2 (held down)"."""
    from monai_hybrid.networks.number_types import instruction_set

    held = any(os.environ.get(name) for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"))
    return f"{_name()}, {os.cpu_count()} cores, {instruction_set()}{' (held down)' * held}"


def _name() -> str:
    """As Linux tells it; else what Python knows."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
