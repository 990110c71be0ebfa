"""Test-time adaptation: a few updates of the denoising term on one image, kept only where the safety stop says so."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from monai_hybrid.diffusion.noising import NoiseSchedule, add_noise, prediction_target
from monai_hybrid.errors import ConfigError
from monai_hybrid.few_shot.safety_stop import Verdict, decide
from monai_hybrid.few_shot.signals import Look
from monai_hybrid.losses.objectives import denoises
from monai_hybrid.prediction.denoising import SMALLEST_VARIANCE, cut_window, window_at
from monai_hybrid.prediction.table import ORIGINAL

WINDOWS = 4  # of a batch
JUDGED = 2  # windows along each axis, at most, in which the masks before and after are compared
GRADIENT = 1.0  # norm above which a gradient is cut, as in the training


class OneImage:
    """Adapt a network to one image, as a context: inside it has the weights that are kept, afterwards its own, bit for bit.

    The denoising term is that of the training: E |f(x_t, t) - target|^2 over windows of the image and t in 1..T. It changes
    scale and shift of the normalisations alone. The safety stop is that of an adaptation without labels. The same image gives
    the same weights, whatever came before it.

    Args:
        card: of the model.
        roi_size: window, voxels of the network's grid.
        spacing: of that grid.
        updates: on each image.
        learning_rate: of Adam.
        seed: of windows, t and noise.
        judge: says which weights are kept; None: the safety stop.

    Raises:
        ConfigError: a model that was not trained to denoise.
    """

    def __init__(
        self,
        card: Mapping[str, Any],
        roi_size: Sequence[int],
        spacing: Sequence[float],
        updates: int,
        learning_rate: float = 1e-3,
        seed: int = 0,
        judge: Callable[..., Verdict] | None = None,
    ) -> None:
        training = card["training"]
        if not denoises(card):
            raise ConfigError(
                f"test_time_updates {updates}: the model was trained without the denoising term, so an image alone teaches it "
                "nothing; leave --test-time-updates out, or adapt with --objective hybrid, which keeps that term"
            )
        self.roi, self.updates, self.learning_rate, self.seed = tuple(roi_size), updates, learning_rate, seed
        self.judge = judge or decide
        self.schedule = NoiseSchedule(training["num_timesteps"], training["noise_schedule"])
        self.prediction_type = training["prediction_type"]
        # An image smaller than a window is filled up as in a prediction.
        segment = SlidingWindowInferer(self.roi, sw_batch_size=WINDOWS, overlap=0.25, padding_mode="replicate")
        self.look = Look(card, segment, spacing, self.roi, self.schedule)

    @contextmanager
    def __call__(self, image: Tensor, mask: Tensor, network: nn.Module) -> Iterator[Verdict]:
        """Which weights `network` has inside, and why.

        Args:
            image: preprocessed (C, X, Y[, Z]), in [-1, 1].
            mask: (X, Y[, Z]) class index of the network as it is, on the same grid; it says where the masks are compared.
            network: a HybridDiffusionUNet.
        """
        image = torch.as_tensor(image).float()
        weights = {p: (p.detach().clone(), p.requires_grad) for p in network.parameters()}
        try:
            verdict = self._adapt(image, mask, network)
            if verdict.kept == ORIGINAL:
                _restore(weights)
            yield verdict
        finally:
            _restore(weights)

    def _adapt(self, image: Tensor, mask: Tensor, network: nn.Module) -> Verdict:
        if not bool(image.isfinite().all()):
            return Verdict(ORIGINAL, ["the image holds NaN or Inf"], {})
        if float(image.var()) < SMALLEST_VARIANCE:
            return Verdict(ORIGINAL, ["the image is of one grey, so it teaches nothing"], {})
        part = [self._judged(image, mask)]
        before = self.look(network, part)
        if not self._train(image, network):
            return Verdict(ORIGINAL, ["the updates gave numbers that are not finite"], {})
        return self.judge(before, self.look(network, part), denoising_alone=True)

    def _judged(self, image: Tensor, mask: Tensor) -> Tensor:
        """The part of the image around the structures: the whole of a small one."""
        size = image.shape[1:]
        inside = (torch.as_tensor(mask) > 0).nonzero()
        middle = inside.float().median(0).values.long().tolist() if len(inside) else None
        roi = [min(length, JUDGED * window) for length, window in zip(size, self.roi, strict=True)]
        return cut_window(image, window_at(size, roi, middle))

    @torch.enable_grad()
    def _train(self, image: Tensor, network: nn.Module) -> bool:
        """Change the weights; False where a number is not finite."""
        network.requires_grad_(False)
        trained = [p for layer in network.modules() if isinstance(layer, nn.GroupNorm) for p in layer.parameters()]
        for parameter in trained:
            parameter.requires_grad_(True)
        optimizer = torch.optim.Adam(trained, self.learning_rate)
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.updates):
            with torch.autocast(image.device.type, enabled=False):  # without a scaler small gradients would be lost
                loss = self._loss(image, network, generator)
            if not math.isfinite(float(loss.detach())):
                return False
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trained, GRADIENT)
            optimizer.step()
        return all(bool(p.isfinite().all()) for p in trained)

    def _loss(self, image: Tensor, network: nn.Module, generator: torch.Generator) -> Tensor:
        """The denoising term over a batch of windows, each with its own t."""
        size = image.shape[1:]
        places = [[int(torch.randint(length, (), generator=generator)) for length in size] for _ in range(WINDOWS)]
        x_0 = torch.stack([cut_window(image, window_at(size, self.roi, place)) for place in places])
        t = torch.randint(1, self.schedule.num_timesteps + 1, (WINDOWS,), generator=generator)
        epsilon = torch.randn(x_0.shape, generator=generator).to(x_0.device)
        output = network(add_noise(x_0, epsilon, t, self.schedule), t.to(x_0.device), return_noise=True)
        target = prediction_target(x_0, epsilon, t, self.schedule, self.prediction_type)
        return (output[:, : x_0.shape[1]].float() - target).square().mean()


@torch.no_grad()
def _restore(weights: Mapping[nn.Parameter, tuple[Tensor, bool]]) -> None:
    for parameter, (value, trained) in weights.items():
        parameter.copy_(value)
        parameter.requires_grad_(trained)
        parameter.grad = None
