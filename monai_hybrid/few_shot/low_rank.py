"""Low-rank updates of frozen weights, after LoRA (Hu et al. 2022, arXiv 2106.09685), for convolutions and linear layers."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.utils import parametrize

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


class LowRankUpdate(nn.Module):
    """W -> W + up @ down, with W seen as a matrix (outputs, inputs x kernel).

    `up` starts at zero, so the network starts as the pretrained one, bit for bit; `down` starts uniform, as a linear layer
    does. LoRA's factor alpha / r is 1 here: the learning rate is set apart, and a factor would only rescale it.

    Args:
        weight: (outputs, inputs, ...) the weight to be updated; it is not kept.
        rank: r, at least 1; no more than the matrix has is used.
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        rank = min(rank, rows, columns)
        self.up = nn.Parameter(weight.new_zeros(rows, rank))
        self.down = nn.Parameter(weight.new_empty(rank, columns))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """(outputs, inputs, ...) -> the same shape."""
        return weight + (self.up @ self.down).view_as(weight)


def add_low_rank(module: nn.Module, rank: int) -> None:
    """Freeze `module`, and give every convolution and linear layer in it an update of rank `rank` that is trained."""
    module.requires_grad_(False)
    layers = [layer for layer in module.modules() if isinstance(layer, LAYERS)]
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", LowRankUpdate(layer.weight, rank))
