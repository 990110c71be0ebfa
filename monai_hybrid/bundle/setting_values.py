"""Values that no run can use, refused before any work: ranges of numbers, devices, sizes of patches."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from monai_hybrid.errors import ConfigError, EnvironmentFault
from monai_hybrid.networks.subpixel import FACTOR

COUNTS = (
    "max_epochs", "updates", "updates_per_epoch", "batch_size", "sw_batch_size", "accumulation_steps", "val_interval",
    "log_interval", "num_timesteps", "num_samples", "num_inference_steps", "low_rank", "shots",
)  # fmt: skip
COUNTS_OR_NONE = ("num_workers", "warmup_updates", "picture_interval", "checkpoint_interval", "seed")
POSITIVE = ("learning_rate", "nsd_tolerance")
NOT_NEGATIVE = ("weight_decay", "gradient_clip", "lambda_mask", "lambda_clean")
SHARES = ("clean_fraction", "cache_rate", "minimum_share")
POSITIVE_SHARES = ("layer_decay", "labelled_share")
PARTS = ("ema_decay", "overlap")
Test = Callable[[float], bool]
RANGES: dict[str, tuple[str, Test]] = {
    **dict.fromkeys(COUNTS, ("a whole number >= 1", lambda x: x >= 1 and x % 1 == 0)),
    **dict.fromkeys(COUNTS_OR_NONE, ("a whole number >= 0", lambda x: x >= 0 and x % 1 == 0)),
    **dict.fromkeys(POSITIVE, ("a number > 0", lambda x: x > 0)),
    **dict.fromkeys(NOT_NEGATIVE, ("a number >= 0", lambda x: x >= 0)),
    **dict.fromkeys(SHARES, ("a number from 0 to 1", lambda x: 0 <= x <= 1)),
    **dict.fromkeys(POSITIVE_SHARES, ("a number > 0 and <= 1", lambda x: 0 < x <= 1)),
    **dict.fromkeys(PARTS, ("a number >= 0 and < 1", lambda x: 0 <= x < 1)),
}
_EXAMPLE = {"patch_size": "64,64,64", "spacing": "1.5,1,1"}
logger = logging.getLogger("monai_hybrid.settings")


def check_value(name: str, value: Any) -> None:
    """Refuse a value of the command line that no run can use; `$` and `@` expressions and None are left to the run.

    Raises:
        ConfigError: a number outside its range, a size that is none, an unknown device.
        EnvironmentFault: a device that this machine does not have.
    """
    if value is None or (isinstance(value, str) and value.startswith(("$", "@", "%"))):
        return
    if name in RANGES:
        _check_number(name, value)
    if name in _EXAMPLE:
        _check_size(name, value)
    if name == "device":
        _check_device(value)
    processors = os.cpu_count() or 1
    if name == "num_workers" and float(value) > processors:
        logger.warning("--num_workers %d: this machine has %d processors; more loader processes do not help", value, processors)


def _check_number(name: str, value: Any) -> None:
    words, inside = RANGES[name]
    if not (_is_number(value) and inside(value)):
        raise ConfigError(f"--{name}: got {value!r}, expected {words}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _check_size(name: str, value: Any) -> None:
    what = "whole numbers of voxels" if name == "patch_size" else "distances in mm"
    edges: Sequence[Any] = value if isinstance(value, (list, tuple)) and len(value) in (2, 3) else [None]
    if not all(_is_number(edge) and edge > 0 and (name != "patch_size" or isinstance(edge, int)) for edge in edges):
        raise ConfigError(f'--{name}: got {value!r}, expected 2 or 3 {what} > 0, such as --{name} "[{_EXAMPLE[name]}]"')


def _check_device(value: Any) -> None:
    try:
        device = torch.device(value)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"--device: got {value!r}, expected cpu, cuda or cuda:0") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise EnvironmentFault(
            f"--device {value}: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices here "
            "(nvidia-smi lists them); leave --device out to take what is there, or give cpu"
        )


def check_patch(patch_size: Sequence[int], spatial_dims: int, network: Mapping[str, Any]) -> None:
    """Refuse a patch that the network cannot halve at each of its levels.

    Args:
        patch_size: in voxels.
        spatial_dims: of the data, 2 or 3.
        network: its settings, as in plan.json or on a model's card: "channels", one width a level, and "stem".

    Raises:
        ConfigError: with the next patch that fits.
    """
    if len(patch_size) != spatial_dims:
        raise ConfigError(
            f"--patch_size: got {list(patch_size)}, expected {spatial_dims} numbers: the data are {spatial_dims}D"
        )
    levels = len(network["channels"])
    divisor = 2 ** (levels - 1) * (FACTOR if network.get("stem") == "space_to_depth" else 1)
    if any(edge % divisor for edge in patch_size):
        fit = "[" + ",".join(str(-(-edge // divisor) * divisor) for edge in patch_size) + "]"
        raise ConfigError(
            f"--patch_size: got {list(patch_size)}, expected multiples of {divisor} (the network has {levels} levels); "
            f"type --patch_size {fit}"
        )
