"""What the numbers of a network and of a plan must be beside each other; needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FACTOR = 2  # each level but the first halves the grid; a stem that is not plain halves it once more


def per_level(value: Any, levels: int) -> list[Any]:
    """One number for all levels, or a list of one a level, as a list."""
    return value if isinstance(value, list) else [value] * levels


def divisor(network: Mapping[str, Any]) -> int:
    """What the edges of a patch must be multiples of."""
    return int(FACTOR ** (len(network["channels"]) - 1) * (FACTOR if network.get("stem", "plain") != "plain" else 1))


def network_problems(network: Mapping[str, Any]) -> Iterator[str]:
    """Numbers of a network's settings that contradict each other: place, what was seen, what was expected.

    Args:
        network: as in plan.json or on a model's card, each value within its own bounds.
    """
    channels = network.get("channels") or []
    levels = len(channels)
    for key in ("num_res_blocks", "attention_levels", "num_head_channels"):
        if isinstance(network.get(key), list) and channels and len(network[key]) != levels:
            yield f"network.{key}: saw {network[key]}; expected {levels} entries, one a level"
    if network.get("refinement", 0) and network.get("stem", "plain") == "plain":
        yield f"network.refinement: saw {network['refinement']} with the stem plain; expected 0, or the stem space_to_depth"
    groups = network.get("norm_num_groups", 1)
    if any(width % groups for width in channels):
        yield f"network.channels: saw {channels}; expected multiples of norm_num_groups, {groups}"
    heads = per_level(network.get("num_head_channels", 1), levels)
    attention = [*per_level(network.get("attention_levels", False), levels)[:-1], True]
    if any(on and width % head for on, width, head in zip(attention, channels, heads, strict=False)):
        yield f"network.num_head_channels: saw {str(heads)[:80]}; expected divisors of {channels}"


def plan_problems(plan: Mapping[str, Any]) -> Iterator[str]:
    """Numbers of a plan that contradict each other, as `network_problems` says them."""
    dims = plan["spatial_dims"]
    for key in ("spacing", "patch_size"):
        if len(plan[key]) != dims:
            yield f"{key}: saw {plan[key]}; expected {dims} numbers, as spatial_dims is {dims}"
    yield from network_problems(plan["network"])


def one_value_left(patch: Sequence[int], network: Mapping[str, Any]) -> bool:
    """Whether each group of the coarsest level holds a single value: its norm makes 0 of it, and PyTorch refuses one image.

    Args:
        patch: edges in voxels, multiples of `divisor`.
        network: its settings; without "norm_num_groups" nothing is known.
    """
    groups = network.get("norm_num_groups")
    return bool(groups) and math.prod(edge // divisor(network) for edge in patch) * network["channels"][-1] == groups
