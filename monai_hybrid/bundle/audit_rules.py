"""What a bundle's configuration may name: the allow-lists of `monai-hybrid audit`, and a name's test against them."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from importlib import import_module
from pydoc import ErrorDuringImport, locate
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from ignite.metrics import Metric as IgniteMetric
from monai.bundle.config_item import ComponentLocator
from monai.data import ImageReader, ImageWriter
from monai.inferers import Inferer
from monai.metrics import Metric
from monai.transforms import Transform

# Installed by the user, not by the bundle; only these are ever imported by an audit.
TRUSTED = ("monai", "monai_hybrid", "torch", "ignite", "numpy")
IMPORTS = (*TRUSTED, "math", "os")
COMPONENTS: tuple[type, ...] = (
    torch.nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, torch.utils.data.Dataset,
    torch.utils.data.DataLoader, torch.utils.data.Sampler, Transform, Inferer, Engine, Metric, IgniteMetric, ImageReader,
    ImageWriter,
)  # fmt: skip
HANDLER_MODULES = ("monai.handlers.", "ignite.handlers.")
SINGLE_COMPONENTS = ("torch.utils.tensorboard.SummaryWriter",)
# Loads code, asks a server, or downloads.
NEVER = ("torch.jit.", "torch.hub.", "torch.package.", "torch.utils.cpp_extension.", "monai.apps.", "monai.bundle.")
NEVER_NAMES = ("ScriptModule", "MLFlowHandler", "ClearMLHandler", "ClearMLImageHandler", "ClearMLStatsHandler")
CALLS = frozenset({
    "os.path.isfile", "os.path.isdir", "os.path.exists", "os.path.join", "os.path.basename", "os.path.dirname",
    "os.environ.get", "torch.device", "torch.tensor", "torch.cuda.is_available", "torch.cuda.is_bf16_supported",
    "torch.cuda.set_device",
    "torch.cuda.device_count", "torch.distributed.init_process_group", "torch.distributed.destroy_process_group",
    "torch.distributed.get_rank", "torch.distributed.get_world_size", "torch.distributed.is_initialized",
    "ignite.distributed.get_rank", "ignite.distributed.get_world_size", "monai.utils.set_determinism",
    "monai.handlers.from_engine", "monai.data.partition_dataset", "monai.data.load_decathlon_datalist", "math.ceil",
    "math.floor", "math.sqrt", "math.prod", "numpy.prod", "numpy.array",
})  # fmt: skip
BUILTINS = frozenset({
    "len", "range", "list", "dict", "tuple", "set", "int", "float", "str", "bool", "min", "max", "sum", "abs", "round",
    "sorted", "reversed", "zip", "enumerate", "any", "all",
})  # fmt: skip
METHODS = frozenset({
    "run", "to", "parameters", "state_dict", "labelled", "get", "close", "eval", "train", "keys", "values", "items",
    "leave", "check", "split", "rsplit", "strip", "replace", "lower", "upper", "startswith", "endswith", "count", "index",
    "tolist", "item",
})  # fmt: skip
# Attributes that lead from a harmless object to its frame or code.
INNER = ("gi_", "cr_", "ag_", "tb_", "f_", "co_", "func_", "im_")


def own_name(dotted: str) -> bool:
    """Whether it is a public name of this project's packages: listed in the `__all__` of `monai_hybrid.<package>`."""
    package, _, name = dotted.rpartition(".")
    if not package.startswith("monai_hybrid."):
        return False
    try:
        return name in getattr(import_module(package), "__all__", ())
    except ImportError:
        return False


def component_problem(target: Any) -> str | None:
    """What is wrong with a `_target_`; None when it is a known kind of component of a trusted package."""
    if not isinstance(target, str) or not all(part.isidentifier() for part in target.split(".")):
        return "not a plain dotted name"
    names = [target] if "." in target else [f"{module}.{target}" for module in _modules_of(target)]
    if not names:
        return "no MONAI component of this name"
    return next((problem for problem in map(_dotted_problem, names) if problem), None)


def _dotted_problem(dotted: str) -> str | None:
    if dotted.split(".")[0] not in TRUSTED:
        return f"{dotted.split('.')[0]} is not one of {', '.join(TRUSTED)}"
    if own_name(dotted) or dotted in SINGLE_COMPONENTS or dotted in CALLS:
        return None
    found = located(dotted)
    home = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    if not isinstance(found, type) or home.split(".")[0] not in TRUSTED:
        return "not a component class of MONAI, torch or ignite"
    if home.startswith(NEVER) or dotted.startswith(NEVER) or found.__name__ in NEVER_NAMES:
        return "loads code, downloads or asks a server"
    if not issubclass(found, COMPONENTS) and not home.startswith(HANDLER_MODULES):
        return "not a network, loss, optimizer, transform, data set, inferer, metric, engine or handler"
    return None


def string_problem(text: str) -> str | None:
    """What is wrong with a plain string: MONAI imports some of them (`reader`), so a dotted name of code must be
    allowed too."""
    parts = text.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        return None
    if parts[0] in TRUSTED:
        return component_problem(text) if located(text) is not None else None
    if parts[0] in sys.stdlib_module_names:
        return "names code of Python's library" if located(text) is not None else None
    return "names code of another package" if _installed(parts[0]) else None


def constant_allowed(dotted: str) -> bool:
    """Whether a module's attribute may be used as a value: numbers, types of numbers, components."""
    if dotted.split(".")[0] not in (*TRUSTED, "math"):
        return False
    found = located(dotted)
    if isinstance(found, (int, float, str, torch.dtype)) or (isinstance(found, type) and issubclass(found, np.generic)):
        return True
    return component_problem(dotted) is None


def located(dotted: str) -> Any:
    """The object of a dotted name, or None. Imports modules of trusted packages and of Python only."""
    if dotted.split(".")[0] not in (*TRUSTED, *sys.stdlib_module_names):
        return None
    try:
        return locate(dotted)
    except ErrorDuringImport:
        return None


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


@cache
def _locator() -> ComponentLocator:
    return ComponentLocator()


def _modules_of(name: str) -> list[str]:
    found = _locator().get_component_module_name(name)
    return [found] if isinstance(found, str) else list(found or [])
