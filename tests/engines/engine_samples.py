"""A tiny task and the trainer that the bundles use: bright squares on a dark, noisy ground."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from monai.engines import SupervisedTrainer
from torch import Tensor
from torch.utils.data import DataLoader

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.engines import HybridPrepareBatch
from monai_hybrid.inferers import AutocastInferer
from monai_hybrid.losses import HybridLoss
from monai_hybrid.networks import HybridDiffusionUNet

SIZE, K = 16, 2


def square(seed: int, size: int = SIZE) -> dict[str, Any]:
    """One case: image (1, X, Y) in [-1, 1], label (1, X, Y), has_label, case_id."""
    generator = torch.Generator().manual_seed(seed)
    x, y, side = (int(torch.randint(low, high, (), generator=generator)) for low, high in ((1, 7), (1, 7), (4, 9)))
    label = torch.zeros(1, size, size)
    label[:, x : x + side, y : y + side] = 1
    image = (label - 0.5 + 0.3 * torch.randn(label.shape, generator=generator)).clamp(-1, 1)
    return {"image": image, "label": label, "has_label": 1, "case_id": f"case_{seed}"}


def collated(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return next(iter(DataLoader(list(cases), batch_size=len(cases))))


def tiny_network(dims: int = 2) -> HybridDiffusionUNet:
    return HybridDiffusionUNet(dims, 1, K, channels=(8, 16), num_head_channels=8)


def make_trainer(
    cases: Sequence[dict[str, Any]],
    handlers: Sequence[Any] = (),
    objective: str = "hybrid",
    epochs: int = 1,
    batch_size: int = 4,
    learning_rate: float = 3e-3,
    network: Any = None,
    **settings: Any,
) -> SupervisedTrainer:
    """MONAI's trainer with the hybrid parts, as `train.json` puts them together."""
    schedule = NoiseSchedule(100)
    network = tiny_network() if network is None else network
    settings.setdefault("loss_function", HybridLoss(schedule, prediction_type="v"))
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=DataLoader(list(cases), batch_size=batch_size),
        network=network,
        optimizer=settings.pop("optimizer", None) or torch.optim.AdamW(network.parameters(), learning_rate),
        prepare_batch=HybridPrepareBatch(schedule, objective, prediction_type="v"),
        inferer=AutocastInferer(),
        decollate=False,
        optim_set_to_none=True,
        train_handlers=list(handlers),
        **settings,
    )


class Watch:
    """A handler that calls a function at an event."""

    def __init__(self, event: Any, function: Any) -> None:
        self.event, self.function = event, function

    def attach(self, engine: Any) -> None:
        engine.add_event_handler(self.event, self.function)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """ignite reports an exception before it passes it on; the test looks at the exception."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def copy_of(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state_dict.items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
