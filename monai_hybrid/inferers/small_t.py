"""Averaging over small noise levels: the network was trained on noisy inputs too, so each is another opinion on the mask."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from monai_hybrid.diffusion.noising import NoiseSchedule, add_noise
from monai_hybrid.errors import ConfigError


class SmallTAverage(nn.Module):
    """The mean of the mask's probabilities over several t and draws of noise, in the place of the network.

    Made for models whose objective had the mask term on noisy inputs (`hybrid`, `noisy_supervised`): others have seen masks
    at t = 0 only. Each t has the same weight; one t > 0 is the mean of `draws` draws. The noise depends on `seed` and on the
    shape of the input, not on the batch: the same patch gives the same answer in every call, alone or among others.

    Args:
        network: a HybridDiffusionUNet.
        schedule: the forward process that it was trained with.
        timesteps: noise levels, 0 (the clean image) among them.
        draws: of noise for each t > 0.
        seed: of the noise.

    Raises:
        ConfigError: t = 0 is not among them, one is outside 0..T or given twice, or less than one draw.
    """

    def __init__(
        self,
        network: nn.Module,
        schedule: NoiseSchedule,
        timesteps: Sequence[int] = (0, 10, 20),
        draws: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        T = schedule.num_timesteps
        if 0 not in timesteps or len(set(timesteps)) < len(timesteps) or not all(0 <= t <= T for t in timesteps):
            raise ConfigError(f"timesteps: got {list(timesteps)}, expected 0 and other levels up to {T}, each once")
        if draws < 1:
            raise ConfigError(f"draws: got {draws}, expected at least 1")
        self.network, self.schedule, self.timesteps = network, schedule, tuple(int(t) for t in timesteps)
        self.draws, self.seed = draws, seed

    def forward(self, x: Tensor) -> Tensor:
        """Segment.

        Args:
            x: (B, C, X, Y[, Z]) clean image in [-1, 1], float.

        Returns:
            (B, K, ...) logarithm of the mean probability: softmax and argmax read it as they read logits.
        """
        generator = torch.Generator().manual_seed(self.seed)
        by_level = []
        for t in self.timesteps:
            drawn = [self._log_probabilities(x, t, generator) for _ in range(self.draws if t else 1)]
            by_level.append(_log_mean(drawn))
        return _log_mean(by_level)

    def _log_probabilities(self, x: Tensor, t: int, generator: torch.Generator) -> Tensor:
        level = torch.full((len(x),), t, dtype=torch.int64)
        if t:
            epsilon = torch.randn(x.shape[1:], generator=generator).to(x.device).expand_as(x)
            x = add_noise(x.float(), epsilon, level, self.schedule).to(x.dtype)
        return self.network(x, level.to(x.device)).float().log_softmax(1)


def _log_mean(values: Sequence[Tensor]) -> Tensor:
    """Logarithm of the mean of the exponentials."""
    if len(values) == 1:
        return values[0]
    return torch.stack(list(values)).logsumexp(0) - math.log(len(values))
