"""How well the model denoises an image: the worse, the further from its training images. Domain shift without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from monai_hybrid.diffusion.noising import NoiseSchedule, add_noise, predicted_x_0
from monai_hybrid.losses.objectives import OBJECTIVES

LEVELS = (0.1, 0.25, 0.5)  # of T
SMALLEST_VARIANCE = 1e-3  # of an image in [-1, 1]; below it there is nothing to denoise


class DenoisingScore:
    """Error of E[x_0 | x_t] in one window at the image's centre, three noise levels, always the same noise.

    It is divided by the error of the best estimate that knows only mean and variance of the window (Wiener):
    sigma^2 s^2 / (a^2 sigma^2 + s^2) with a^2 = alpha_bar_t, s^2 = 1 - alpha_bar_t. So 0 is perfect, 1 is no better than
    knowing the histogram's width, and images of different contrast compare.

    Args:
        card: of the model. Without a trained image head (objective supervised or noisy_supervised) there is no score.
        roi_size: window, voxels of the network's grid.
        enabled: False gives None always.
        seed: of the noise.
    """

    def __init__(self, card: Mapping[str, Any], roi_size: Sequence[int], enabled: bool = True, seed: int = 0) -> None:
        training = card["training"]
        objective = OBJECTIVES.get(str(training.get("objective")))
        self.enabled = enabled and objective is not None and objective.image_term
        self.roi, self.seed = tuple(roi_size), seed
        if self.enabled:
            self.schedule = NoiseSchedule(training["num_timesteps"], training["noise_schedule"])
            self.prediction_type = training["prediction_type"]

    @torch.no_grad()
    def __call__(self, image: Tensor, network: nn.Module) -> float | None:
        """The score of a preprocessed (C, X, Y[, Z]) image; None without an image head, or where the window is of one grey."""
        if not self.enabled:
            return None
        x_0 = centre_window(torch.as_tensor(image).float(), self.roi)[None]
        variance = float(x_0.var())
        if not variance >= SMALLEST_VARIANCE:
            return None
        generator = torch.Generator().manual_seed(self.seed)
        ratios = []
        for level in LEVELS:
            t = torch.tensor([max(1, round(level * self.schedule.num_timesteps))])
            epsilon = torch.randn(x_0.shape, generator=generator).to(x_0.device)
            x_t = add_noise(x_0, epsilon, t, self.schedule)
            said = network(x_t, t.to(x_0.device), return_noise=True)[:, : x_0.shape[1]]
            found = predicted_x_0(said, x_t, t, self.schedule, self.prediction_type)
            alpha_bar = float(self.schedule.alpha_bar[int(t)])
            wiener = variance * (1 - alpha_bar) / (alpha_bar * variance + 1 - alpha_bar)
            ratios.append(float((found - x_0).square().mean()) / wiener)
        return sum(ratios) / len(ratios)


def centre_window(image: Tensor, roi: Sequence[int]) -> Tensor:
    """(C, X, Y[, Z]) -> (C, *roi) at the centre; replicated at the edges where the image is smaller."""
    pads: list[int] = []
    for axis, length in enumerate(roi, start=1):
        start = max(0, (image.shape[axis] - length) // 2)
        image = image.narrow(axis, start, min(length, image.shape[axis]))
        missing = length - image.shape[axis]
        pads = [missing // 2, missing - missing // 2, *pads]
    return torch.nn.functional.pad(image[None], pads, mode="replicate")[0] if any(pads) else image
