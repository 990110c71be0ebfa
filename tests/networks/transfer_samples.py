"""A small trained network on disk, and another one to start from it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monai_hybrid.networks import HybridDiffusionUNet, TransferReport, transfer_weights
from monai_hybrid.weights import make_card, save_weights

SMALL: dict[str, Any] = {"channels": (8, 16), "num_res_blocks": 1, "norm_num_groups": 8, "num_head_channels": 8}
LABELS = ("background", "left ventricle", "tumour")


def awake(network: nn.Module, seed: int = 0) -> Any:
    """Give every weight a value: MONAI starts many layers at zero, which would hide what they do."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return network.eval()


def tiny(channels: int = 1, labels: int = 3, seed: int = 0, dims: int = 2, **changes: Any) -> HybridDiffusionUNet:
    torch.manual_seed(seed)
    return awake(HybridDiffusionUNet(dims, channels, labels, **{**SMALL, **changes}), seed)


def table(names: Sequence[str]) -> list[dict[str, Any]]:
    """Labels as in `dataset.json`."""
    return [{"index": i, "value": 10 * i, "name": name} for i, name in enumerate(names)]


def written(
    folder: Path,
    network: nn.Module,
    channels: Sequence[str],
    labels: Sequence[str] = LABELS,
    plan: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """Save weights and card as training does."""
    dataset = {"spatial_dims": 2, "channels": list(channels), "labels": table(labels), "name": "ward"}
    save_weights(network.state_dict(), folder, make_card({"spatial_dims": 2, **SMALL, **settings}, dataset, plan or {}, {}))
    return folder / "model.safetensors"


def started(
    path: Path, channels: Sequence[str] = ("MR",), labels: Sequence[str] = LABELS, seed: int = 9, **settings: Any
) -> tuple[HybridDiffusionUNet, TransferReport]:
    """A network of other weights, started from `path`."""
    network = tiny(len(channels), len(labels), seed)
    return network, transfer_weights(network, path, table(labels), list(channels), **settings)


def images(channels: int = 1, seed: int = 1) -> Tensor:
    return torch.randn(2, channels, 8, 12, generator=torch.Generator().manual_seed(seed))


def frozen(network: nn.Module) -> Callable[[], bool]:
    """Whether every tensor is still as it was now."""
    before = copy.deepcopy(network.state_dict())

    def unchanged() -> bool:
        now = network.state_dict()
        return now.keys() == before.keys() and all(torch.equal(now[name], before[name]) for name in now)

    return unchanged
