"""Values that no run can use, refused before any work: ranges of numbers, devices, sizes of patches."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from data_prep.network_rules import FACTOR, divisor, one_value_left
from monai_hybrid.errors import ConfigError, EnvironmentFault
from monai_hybrid.networks.number_types import warn_of_slow_bfloat16
from monai_hybrid.setting_checks import check_plain_value, is_expression
from monai_hybrid.transforms.fits import GIB, machine_memory

# Memory of a prediction for each voxel of a patch and channel of the first level; measured: 42 in float32, 27 in bfloat16.
BYTES_A_FEATURE, LEAST_BYTES = {"float32": 40, "auto": 40}, 24
logger = logging.getLogger("monai_hybrid.settings")


def check_value(name: str, value: Any) -> None:
    """Refuse a value of the command line that no run can use; `$` and `@` expressions and None are left to the run.

    Raises:
        ConfigError: a number outside its range, a size that is none, a word or a device that is not known.
        EnvironmentFault: a device that this machine does not have.
    """
    if value is None or is_expression(value):
        return
    check_plain_value(name, value)
    if name == "device":
        _check_device(value)
    processors = os.cpu_count() or 1
    if name == "num_workers" and float(value) > processors:
        logger.warning("--num_workers %d: this machine has %d processors; more loader processes do not help", value, processors)


def warn_of_slow_numbers(overrides: Mapping[str, Any]) -> None:
    """Say before any work that `--amp True` and `--precision bfloat16` are slow, where they are; expressions wait."""
    device = overrides.get("device", "cuda" if torch.cuda.is_available() else "cpu")
    if is_expression(device):
        return
    for name, slow, instead in (("amp", True, "--amp False"), ("precision", "bfloat16", "--precision float32")):
        if overrides.get(name) == slow:
            warn_of_slow_bfloat16(device, instead)


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


def check_patch(patch_size: Sequence[int], spatial_dims: int, network: Mapping[str, Any], precision: str | None = None) -> None:
    """Refuse a patch that the network cannot halve at each level, of which nothing would be left, or that no memory holds.

    An image that is smaller is filled up to a patch, so its own size says nothing of what a patch takes.

    Args:
        patch_size: in voxels.
        spatial_dims: of the data, 2 or 3.
        network: its settings, as in plan.json or on a model's card: "channels", one width a level, "stem", "norm_num_groups".
        precision: of a prediction, "float32", "auto" or "bfloat16"; None: of a training, which takes more than either.

    Raises:
        ConfigError: with the next patch that fits.
    """
    if len(patch_size) != spatial_dims:
        raise ConfigError(
            f"--patch_size: got {list(patch_size)}, expected {spatial_dims} numbers: the data are {spatial_dims}D"
        )
    levels, multiple = len(network["channels"]), divisor(network)
    if any(edge % multiple for edge in patch_size):
        fit = "[" + ",".join(str(-(-edge // multiple) * multiple) for edge in patch_size) + "]"
        raise ConfigError(
            f"--patch_size: got {list(patch_size)}, expected multiples of {multiple} (the network has {levels} levels); "
            f"type --patch_size {fit}"
        )
    if one_value_left(patch_size, network):
        larger = "[" + ",".join(map(str, (2 * patch_size[0], *patch_size[1:]))) + "]"
        raise ConfigError(
            f"--patch_size: got {list(patch_size)}, of which the network's {levels} levels leave one voxel, with one channel a "
            f"group: its norm makes 0 of each. Type --patch_size {larger}, or larger"
        )
    _refuse_too_large(patch_size, network, BYTES_A_FEATURE.get(precision or "", LEAST_BYTES))


def _refuse_too_large(patch_size: Sequence[int], network: Mapping[str, Any], bytes_a_feature: int) -> None:
    """The system would end the whole command, without a word."""
    coarser = 1 if network.get("stem", "plain") == "plain" else FACTOR ** len(patch_size)
    each, limit = bytes_a_feature * network["channels"][0] / coarser, _memory()
    if limit is None or math.prod(patch_size) * each <= limit:
        return
    fit, multiple = list(patch_size), divisor(network)
    while math.prod(fit) * each > limit and max(fit) > multiple:
        longest = fit.index(max(fit))
        fit[longest] = max(multiple, fit[longest] // 2 // multiple * multiple)
    needed = math.prod(patch_size) * each
    raise ConfigError(
        f"--patch_size: got {list(patch_size)}, which takes about {needed / GIB:.0f} GB, and the machine has "
        f"{limit / GIB:.0f} GB. Type --patch_size [{','.join(map(str, fit))}], or smaller"
    )


def _memory() -> int | None:
    """Bytes of the machine, or of its graphics processor where that has more; None where the system does not say."""
    own = machine_memory()
    if own is None or not torch.cuda.is_available():
        return own
    return max(own, *(torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count())))
