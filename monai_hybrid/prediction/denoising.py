"""How well the model denoises an image: the worse, the further from its training images. Domain shift without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """

    def __init__(self, card: Mapping[str, Any], roi_size: Sequence[int], enabled: bool = True) -> None:
        training = card["training"]
        objective = OBJECTIVES.get(str(training.get("objective")))
        self.enabled = enabled and objective is not None and objective.image_term
        self.roi = tuple(roi_size)
        if self.enabled:
            self.schedule = NoiseSchedule(training["num_timesteps"], training["noise_schedule"])
            self.prediction_type = training["prediction_type"]

    def __call__(self, image: Tensor, network: nn.Module) -> float | None:
        """The score of a preprocessed (C, X, Y[, Z]) image; None without an image head, or where the window is of one grey."""
        found = self.look(image, network)
        return None if found is None else found.error

    @torch.no_grad()
    def look(
        self, image: Tensor, network: nn.Module, window: Sequence[WindowSpan] | None = None, levels: Sequence[float] = LEVELS
    ) -> Denoised | None:
        """The score with the masks that the same passes of the network give; None where there is no score.

        Args:
            image: preprocessed (C, X, Y[, Z]).
            network: a HybridDiffusionUNet.
            window: of `window_at`; None: at the centre.
            levels: of noise, parts of T.
        """
        if not self.enabled:
            return None
        window = window_at(image.shape[1:], self.roi) if window is None else window
        x_0 = cut_window(torch.as_tensor(image).float(), window)[None]
        variance = float(x_0.var())
        if not variance >= SMALLEST_VARIANCE:
            return None
        generator = torch.Generator().manual_seed(0)
        ratios, masks = [], []
        for level in levels:
            t = torch.tensor([max(1, round(level * self.schedule.num_timesteps))])
            epsilon = torch.randn(x_0.shape, generator=generator).to(x_0.device)
            x_t = add_noise(x_0, epsilon, t, self.schedule)
            output = network(x_t, t.to(x_0.device), return_noise=True)
            said = output[:, : x_0.shape[1]]
            found = predicted_x_0(said, x_t, t, self.schedule, self.prediction_type)
            alpha_bar = float(self.schedule.alpha_bar[int(t)])
            wiener = variance * (1 - alpha_bar) / (alpha_bar * variance + 1 - alpha_bar)
            ratios.append(float((found - x_0).square().mean()) / wiener)
            masks.append(without_padding(output[0, x_0.shape[1] :].argmax(0), window).cpu())
        return Denoised(sum(ratios) / len(ratios), masks)


@dataclass(frozen=True)
class Denoised:
    """`error` is the score; `masks` are (X, Y[, Z]) class indices of the window without its padding, one a level."""

    error: float
    masks: list[Tensor]


@dataclass(frozen=True)
class WindowSpan:
    """A window along one axis: `start` and `length` within the image, and how much is padded `before` and `after`."""

    start: int
    length: int
    before: int = 0
    after: int = 0


def window_at(size: Sequence[int], roi: Sequence[int], centre: Sequence[int] | None = None) -> tuple[WindowSpan, ...]:
    """A window of `roi` around a voxel, within the image where it fits; padded evenly where the image is smaller.

    Args:
        size: of the image.
        roi: of the window.
        centre: voxel; None: the image's middle.
    """
    spans = []
    for axis, (length, wanted) in enumerate(zip(size, roi, strict=True)):
        start = (length - wanted) // 2 if centre is None else int(centre[axis]) - wanted // 2
        missing = max(0, wanted - length)
        inside = max(0, min(start, length - wanted))
        spans.append(WindowSpan(inside, min(length, wanted), missing // 2, missing - missing // 2))
    return tuple(spans)


def cut_window(image: Tensor, window: Sequence[WindowSpan]) -> Tensor:
    """(C, X, Y[, Z]) -> (C, *roi); replicated at the edges where the image is smaller."""
    pads: list[int] = []
    for axis, span in enumerate(window, start=1):
        image = image.narrow(axis, span.start, span.length)
        pads = [span.before, span.after, *pads]
    return torch.nn.functional.pad(image[None], pads, mode="replicate")[0] if any(pads) else image


def without_padding(values: Tensor, window: Sequence[WindowSpan]) -> Tensor:
    """(*roi) -> the part that lies in the image."""
    for axis, span in enumerate(window):
        values = values.narrow(axis, span.before, span.length)
    return values
