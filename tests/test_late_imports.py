"""The light import of MONAI: what it leaves out, and that whoever needs a part gets the real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monai_hybrid import late_imports

ROOT = Path(__file__).parents[1]
IMPORTED = """
import sys
from monai_hybrid import late_imports
late_imports.install()
late_imports.install()
import monai, monai.bundle, ignite.handlers
print([name for name in (*late_imports.LATE, "scipy.stats", "torch.distributed.optim") if name in sys.modules])
print(any("late_imports" in type(finder).__module__ for finder in sys.meta_path), "exec_module" in vars(monai.__loader__))
"""
USED = """
import torch
from monai.transforms.signal.array import has_iirnotch, iirnotch
from monai.utils import jupyter_utils
print(has_iirnotch, [len(part) for part in iirnotch(50, 30, 1000)])
from monai.metrics.utils import get_surface_distance
from monai.transforms.utils import distance_transform_edt, ndimage
distances = get_surface_distance(torch.eye(3).numpy() > 0, torch.ones(3, 3).numpy() > 0)
print(ndimage.label([1, 0, 1])[1], float(distance_transform_edt(torch.eye(3)[None]).max()), len(distances))
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
    assert rest == ["False False", "True [3, 3]", "2 1.0 3", "True None", "True True", str(many)]


def test_nothing_is_stood_in_for_once_monai_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import monai  # noqa: F401

    before = list(sys.meta_path)
    late_imports.install()
    assert sys.meta_path == before


def test_another_library_gets_the_real_module_even_while_monai_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as scikit-image, which MONAI imports where it is installed: it derives from scipy's classes."""
    (tmp_path / "made_late").mkdir()
    (tmp_path / "made_late" / "__init__.py").write_text("class Base: pass\ndef double(x): return 2 * x")
    (tmp_path / "made_late" / "part.py").write_text("value = 3")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(late_imports, "LATE", ("made_late",))
    monai: dict[str, Any] = {"__name__": "monai.transforms.made"}
    other: dict[str, Any] = {"__name__": "made_other"}
    with late_imports._stood_in():
        exec("from made_late import double\nimport made_late", monai)
        assert isinstance(sys.modules["made_late"], late_imports._StandIn)
        exec("import made_late.part\nfrom made_late import Base\nclass Own(Base): pass\nvalue = made_late.part.value", other)
        assert other["value"] == 3 and other["Own"].__mro__[1] is sys.modules["made_late"].Base
    assert monai["double"](2) == 4 and monai["made_late"].Base is other["Base"]
    for name in ("made_late.part", "made_late"):
        monkeypatch.delitem(sys.modules, name)
