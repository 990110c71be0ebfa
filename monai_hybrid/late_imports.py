"""What MONAI and Ignite import and our programs do not call is loaded at its first use: nearly half of the seconds of a start.

Importing MONAI loads parts of scipy for transforms, metrics and maps that we do not use, matplotlib for a widget of notebooks,
and torch.distributed.optim (with it sympy and the whole of torch's distributed tensors) for one `isinstance`.
Each is stood in for while MONAI is imported, and no longer. Who uses the part later gets the real one. Python's own LazyLoader
would load at once: MONAI takes functions out of these modules, and Ignite a class, while they are imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from typing import Any

LATE = ("matplotlib", "matplotlib.pyplot", "scipy.ndimage", "scipy.optimize", "scipy.signal", "scipy.spatial")
OPTIMISERS = "torch.distributed.optim"


class _StandIn(types.ModuleType):
    """A module by name. While it stands in, each name of it is for MONAI a function that calls the real one.

    Other libraries, which MONAI imports where they are installed, may derive from a class or ask for a part of a package: they
    get the real module, and so does everybody afterwards.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            asking = str(sys._getframe(1).f_globals.get("__name__"))
            if asking.split(".")[0] == "monai":
                if name == "__path__":
                    raise AttributeError(name)
                return self._late(name)
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)

    def _late(self, name: str) -> Any:
        """A part that is stood in for as well, or a function."""

        def called(*given: Any, **named: Any) -> Any:
            return getattr(importlib.import_module(self.__name__), name)(*given, **named)

        return sys.modules.get(f"{self.__name__}.{name}", called)


def _optimisers() -> types.ModuleType:
    """Ignite's checkpoints ask of each object whether it is an optimiser that processes share; in one process none is."""
    module = types.ModuleType(OPTIMISERS)
    module.__dict__["ZeroRedundancyOptimizer"] = type("ZeroRedundancyOptimizer", (), {})
    return module


@contextmanager
def _stood_in() -> Iterator[None]:
    modules: list[types.ModuleType] = [_StandIn(name) for name in LATE]
    if not {"WORLD_SIZE", "RANK", "LOCAL_RANK"} & os.environ.keys():
        modules.append(_optimisers())
    mine = {module.__name__: module for module in modules if module.__name__ not in sys.modules}
    sys.modules.update(mine)
    try:
        yield
    finally:
        for name, module in mine.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _Finder:
    """Finds MONAI as Python does, and stands in for the parts while its own code runs. Once."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "monai":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            loader.exec_module = _executed(loader, loader.exec_module)
        return spec


def _executed(loader: Any, execute: Callable[[types.ModuleType], None]) -> Callable[[types.ModuleType], None]:
    def exec_module(module: types.ModuleType) -> None:
        del loader.exec_module  # its own again
        with _stood_in():
            execute(module)

    return exec_module


def install() -> None:
    """For a program's first lines: from now on the import of MONAI is a light one. Nothing is imported here."""
    if "monai" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
