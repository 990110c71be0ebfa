"""What a network's weights were, to know whether they are still the same: by their values, because nothing else tells.

A tensor's `_version` misses fused optimizers, writes through `.data` and NumPy's views; its address can be used again.
Comparing takes a thousandth to a thirtieth of one window's pass, and a quarter of folding anew (docs/results/notes/speed.md).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


class WeightsState:
    """A copy of the parameters and buffers of a network as they are now, and of its mode.

    Args:
        network: any module; it is kept too, so that no other can have its place.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network, self.training = network, network.training
        self.copies = [tensor.detach().clone() for tensor in _tensors(network)]

    @torch.no_grad()
    def holds(self, network: nn.Module) -> bool:
        """Whether this is the same network, on the same device, in the same mode, with equal weights (NaN equals nothing)."""
        if network is not self.network or network.training != self.training:
            return False
        now = list(_tensors(network))
        if len(now) != len(self.copies) or any(_form(a) != _form(b) for a, b in zip(now, self.copies, strict=True)):
            return False
        if all(tensor.device.type == "cpu" for tensor in now):
            return all(torch.equal(a, b) for a, b in zip(now, self.copies, strict=True))
        # One wait for the device, in place of one a tensor.
        changed = [(a != b).any().to(now[0].device) for a, b in zip(now, self.copies, strict=True)]
        return not bool(torch.stack(changed).any())


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers, one twice where two modules share it. `parameters()` makes names: twice as long."""
    for held in (network._parameters, network._buffers):
        yield from (tensor for tensor in held.values() if tensor is not None)
    for module in network._modules.values():
        if module is not None:
            yield from _tensors(module)


def _form(tensor: Tensor) -> tuple[torch.Size, torch.dtype, torch.device]:
    return tensor.shape, tensor.dtype, tensor.device
