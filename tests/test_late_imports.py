"""The light import of MONAI: what it leaves out, and that whoever needs a part gets the real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from monai_hybrid import late_imports

ROOT = Path(__file__).parents[1]
IMPORTED = """
import sys
from monai_hybrid import late_imports
late_imports.install()
late_imports.install()
import monai, monai.bundle, ignite.handlers
print([name for name in ("scipy.signal", "scipy.stats", "matplotlib.pyplot", "torch.distributed.optim") if name in sys.modules])
print(any("late_imports" in type(finder).__module__ for finder in sys.meta_path), "exec_module" in vars(monai.__loader__))
"""
USED = """
import torch
from monai.transforms.signal.array import has_iirnotch, iirnotch
from monai.utils import jupyter_utils
print(has_iirnotch, [len(part) for part in iirnotch(50, 30, 1000)])
print(jupyter_utils.plt.rcParams["figure.dpi"] > 0, jupyter_utils.plt.close("all"))
import scipy.signal, torch.distributed.optim as shared
print(scipy.signal.hilbert.__module__.startswith("scipy"), issubclass(shared.ZeroRedundancyOptimizer, torch.optim.Optimizer))
print(ignite.handlers.checkpoint.ZeroRedundancyOptimizer is shared.ZeroRedundancyOptimizer)
"""


@pytest.mark.long
@pytest.mark.parametrize("many", [False, True])
def test_parts_are_left_out_and_are_there_for_who_uses_them(many: bool) -> None:
    """Where processes train together Ignite knows the optimisers that they share."""
    more = {"WORLD_SIZE": "2"} if many else {}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED + USED], env={"PYTHONPATH": str(ROOT), **more}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    left_in, *rest = done.stdout.splitlines()
    assert left_in == ("['torch.distributed.optim']" if many else "[]")
    assert rest == ["False False", "True [3, 3]", "True None", "True True", str(many)]


def test_nothing_is_stood_in_for_once_monai_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import monai  # noqa: F401

    before = list(sys.meta_path)
    late_imports.install()
    assert sys.meta_path == before
