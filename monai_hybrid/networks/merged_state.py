"""The weights of a network with parametrisations, such as updates of low rank, as an ordinary network has them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


def merged_state_dict(module: nn.Module) -> dict[str, Tensor]:
    """The state dict of the ordinary network that computes the same: updates added to their weights, names as without them.

    The module keeps its updates. Without any the state dict is the module's own.
    """
    updates = {name: layer for name, layer in module.named_modules() if parametrize.is_parametrized(layer)}
    merged: dict[str, Tensor] = {}
    for key, tensor in module.state_dict().items():
        layer, mark, rest = key.partition(".parametrizations.")
        if not mark:
            merged[key] = tensor
        elif rest.endswith(".original"):
            name = rest.removesuffix(".original")
            with torch.no_grad():
                merged[f"{layer}.{name}"] = getattr(updates[layer], name)
    return merged
