"""The forward process q(x_t | x_0) = N(sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I), on the image only.

Time is an integer t in {0, ..., T}. **t = 0 is the clean image exactly** (alpha_bar_0 = 1): a segmenter calls the network
there. The mask is never noised and never an input (arXiv 2408.03433).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SCHEDULES = ("cosine", "linear")
PREDICTION_TYPES = ("epsilon", "v", "sample")


class NoiseSchedule:
    """alpha_bar_t for t = 0..T, float64 on the CPU, cast when it is used (so that no half-precision call can spoil it).

    Args:
        num_timesteps: T.
        schedule: "cosine" (Nichol & Dhariwal 2021, eq. 17) or "linear" (Ho et al. 2020: beta from 1e-4 to 0.02 at T = 1000).

    Raises:
        ValueError: when the schedule is unknown or T < 1.
    """

    def __init__(self, num_timesteps: int = 1000, schedule: str = "cosine") -> None:
        if num_timesteps < 1:
            raise ValueError(f"num_timesteps must be at least 1, got {num_timesteps}")
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
        self.num_timesteps = num_timesteps
        self.schedule = schedule
        t = torch.arange(num_timesteps + 1, dtype=torch.float64)
        if schedule == "cosine":
            f = torch.cos((t / num_timesteps + 0.008) / 1.008 * math.pi / 2) ** 2
            # f reaches 0 at T, where epsilon would say nothing about x_0: keep a last trace of signal.
            self.alpha_bar = (f / f[0]).clamp(min=1e-5)
        else:
            beta = torch.linspace(1e-4, 0.02, num_timesteps, dtype=torch.float64) * (1000 / num_timesteps)
            self.alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - beta.clamp(max=0.999), 0)])

    def signal_and_noise(self, timesteps: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t), float32, shaped (B, 1, ..., 1) to broadcast over `like` (B, C, ...)."""
        alpha_bar = self.alpha_bar[timesteps.long().cpu()].view(-1, *[1] * (like.ndim - 1))
        a, s = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        return a.to(like.device, torch.float32), s.to(like.device, torch.float32)


def draw_timesteps(
    num_timesteps: int,
    clean_fraction: float,
    may_be_clean: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw t for a batch: a share of exactly clean samples (t = 0), the others uniform on {1, ..., T}.

    The share is of the samples that may be clean, not of the batch: a batch of which half is labelled, drawn with a share of a
    half, has a quarter clean, a quarter labelled and noisy, and a half noisy without labels. It is met exactly up to rounding,
    and in expectation when it does not divide their number. Samples whose `may_be_clean` is false (no label: a clean input
    would teach nothing) are always noised.

    Args:
        num_timesteps: T.
        clean_fraction: wanted share of clean samples among those that may be, in [0, 1].
        may_be_clean: (B,) bool, on the CPU.
        generator: source of randomness, for replay.

    Returns:
        (B,) int64 on the CPU.
    """
    batch = may_be_clean.shape[0]
    timesteps = torch.randint(1, num_timesteps + 1, (batch,), generator=generator)
    wanted = int(clean_fraction * int(may_be_clean.sum()) + float(torch.rand((), generator=generator)))
    order = torch.randperm(batch, generator=generator)
    clean = order[may_be_clean[order]][:wanted]
    timesteps[clean] = 0
    return timesteps


def add_noise(x_0: Tensor, epsilon: Tensor, timesteps: Tensor, schedule: NoiseSchedule) -> Tensor:
    """x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) epsilon, in float32. At t = 0 this returns x_0 bit for bit."""
    a, s = schedule.signal_and_noise(timesteps, x_0)
    return a * x_0.float() + s * epsilon.float()


def check_prediction_type(prediction_type: str) -> None:
    """Raise ValueError for anything but "epsilon", "v" and "sample"."""
    if prediction_type not in PREDICTION_TYPES:
        raise ValueError(f"prediction_type must be one of {', '.join(PREDICTION_TYPES)}, got {prediction_type!r}")


def prediction_target(x_0: Tensor, epsilon: Tensor, timesteps: Tensor, schedule: NoiseSchedule, prediction_type: str) -> Tensor:
    """What the image channels have to predict: epsilon, v = a epsilon - s x_0 (Salimans & Ho 2022), or the sample x_0.

    Args:
        x_0, epsilon: (B, C, X, Y[, Z]), clean images in [-1, 1] and their noise.
        timesteps: (B,) int64, 0..T.
        schedule: alpha_bar_t, of which a = sqrt(alpha_bar_t), s = sqrt(1 - alpha_bar_t).
        prediction_type: "epsilon", "v" or "sample".

    Returns:
        As `x_0`, float32.

    Raises:
        ValueError: another prediction type.
    """
    check_prediction_type(prediction_type)
    if prediction_type == "epsilon":
        return epsilon.float()
    if prediction_type == "sample":
        return x_0.float()
    a, s = schedule.signal_and_noise(timesteps, x_0)
    return a * epsilon.float() - s * x_0.float()


def predicted_x_0(prediction: Tensor, x_t: Tensor, timesteps: Tensor, schedule: NoiseSchedule, prediction_type: str) -> Tensor:
    """E[x_0 | x_t] from the network's image channels: the inverse of `prediction_target` for each prediction type.

    Args:
        prediction, x_t: (B, C, X, Y[, Z]), the image channels and what they were computed of.
        timesteps, schedule, prediction_type: as in `prediction_target`; of "epsilon" no t may have alpha_bar_t = 0.

    Returns:
        As `x_t`, float32, not clipped.

    Raises:
        ValueError: another prediction type.
    """
    check_prediction_type(prediction_type)
    if prediction_type == "sample":
        return prediction.float()
    a, s = schedule.signal_and_noise(timesteps, x_t)
    if prediction_type == "epsilon":
        return (x_t.float() - s * prediction.float()) / a
    return a * x_t.float() - s * prediction.float()
