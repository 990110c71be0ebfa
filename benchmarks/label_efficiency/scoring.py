"""Dice of test cases on the network's grid, the same for every arm.

The label is brought to that grid as for training (nearest neighbour). That is faster than going back to the file's own
grid, and leaves out what the coarse grid costs every arm at the border; numbers are therefore a little higher than those of
`evaluate.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from monai_hybrid.diffusion.noising import NoiseSchedule, add_noise

Scores = dict[str, list[float]]
CHUNK = 16  # larger ones are slower on a CPU, whose cache they leave


@torch.no_grad()
def predict(
    network: nn.Module, images: Tensor, inferer: Any, schedule: NoiseSchedule | None = None, timesteps: Sequence[int] = (0,)
) -> Tensor:
    """Class index (B, ...) of images (B, C, ...); with several noise levels, of the mean probability over them."""
    if tuple(timesteps) == (0,) or schedule is None:
        only: Tensor = inferer(images, network).argmax(1)
        return only
    epsilon = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(0)).to(images.device).expand_as(images)
    total = torch.zeros(())
    for step in timesteps:
        t = torch.full((len(images),), int(step))
        at_t = lambda x, level=int(step): network(x, timesteps=torch.full((1,), level, device=x.device))  # noqa: E731
        total = total.to(images.device) + inferer(add_noise(images, epsilon, t, schedule), at_t).softmax(1)
    return total.argmax(1)


def score(
    network: nn.Module,
    items: Sequence[dict[str, Any]],
    inferer: Any,
    num_classes: int,
    device: torch.device,
    schedule: NoiseSchedule | None = None,
    timesteps: Sequence[int] = (0,),
    predictions: dict[str, Tensor] | None = None,
    amp: bool = False,
) -> Scores:
    """case_id -> Dice of classes 1..K-1. Cases of equal size go through the network together.

    Args:
        amp: bfloat16, as in training with `amp`.
        predictions: filled with the class index of each case (X, Y[, Z]), when given.
    """
    network.eval()
    by_shape: dict[tuple[int, ...], list[dict[str, Any]]] = {}
    for item in items:
        by_shape.setdefault(tuple(item["image"].shape), []).append(item)
    found: Scores = {}
    for group in by_shape.values():
        for start in range(0, len(group), CHUNK):
            part = group[start : start + CHUNK]
            images = torch.stack([torch.as_tensor(item["image"]) for item in part]).float().to(device)
            labels = torch.stack([torch.as_tensor(item["label"])[0] for item in part]).long()
            with torch.autocast(device.type, torch.bfloat16, enabled=amp):
                masks = predict(network, images, inferer, schedule, timesteps).cpu()
            for item, values, mask in zip(part, dice(masks, labels, num_classes).tolist(), masks, strict=True):
                found[item["case_id"]] = [round(v, 4) for v in values]
                if predictions is not None:
                    predictions[item["case_id"]] = mask.to(torch.uint8)
    return {item["case_id"]: found[item["case_id"]] for item in items}


def dice(pred: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """(B, K - 1) Dice of class indices (B, ...). Missed or invented: 0; rightly empty: 1, so that every arm has every case."""
    columns = []
    for k in range(1, num_classes):
        p, y = (pred == k).flatten(1), (label == k).flatten(1)
        total = p.sum(1) + y.sum(1)
        columns.append(torch.where(total > 0, 2 * (p & y).sum(1) / total.clamp(min=1), 1.0))
    return torch.stack(columns, 1)


def by_patient(scores: Scores, cases: Sequence[dict[str, Any]]) -> dict[str, float]:
    """patient -> mean Dice over the patient's cases and classes."""
    found: dict[str, list[float]] = {}
    for case in cases:
        found.setdefault(case["patient"], []).extend(scores[case["case_id"]])
    return {patient: sum(values) / len(values) for patient, values in found.items()}


def mean(scores: Scores, cases: Sequence[dict[str, Any]]) -> float | None:
    """Mean over the patients; None without any."""
    values = list(by_patient(scores, cases).values())
    return sum(values) / len(values) if values else None
