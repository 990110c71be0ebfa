"""Joint image-mask samplers: pure functions that draw (x_0, y_0) ~ p(x, y) from one denoiser (arXiv 2408.03433).

Only the image is ever noised or given to the denoiser; the mask follows from it. Everything is written in the
variance-exploding coordinates of the paper's proposition B, where a step mixes the state with the estimate:

    z = x_t / sqrt(alpha_bar_t),    sigma_t = sqrt((1 - alpha_bar_t) / alpha_bar_t),    r = sigma_next / sigma_t

    ODE:  z <- r   z + (1 - r)   E[x_0 | x_t]
    SDE:  z <- r^2 z + (1 - r^2) E[x_0 | x_t] + sigma_next sqrt(1 - r^2) epsilon

**The end.** The last step goes from t = 1 to t = 0, where sigma = 0 and so r = 0: the estimate replaces the state.
The image is then E[x_0 | x_1], whose error is of the order of sigma_1^2. For the mask the same rule gives E[y | x_1],
which is blurred over a band of width sigma_1 along every border. (The ODE's mask state before that step is worse
still: it is the average of E[y | x_u] over u > sigma_1 with weight u^-2, and so lags behind.) Both propositions speak
of the limit E[y | x_0] = f(x_0), so the samplers make one more pass, at t = 0 on x_0, and return that:
`num_inference_steps` + 1 network evaluations in all.

Put the network in `eval()` first; the samplers record no gradient. They compute in float32, or in float64 when x_T is.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from monai_hybrid.diffusion.noising import NoiseSchedule, check_prediction_type, predicted_x_0

Denoiser = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x_t (B, C, ...), timesteps (B,) int64) -> x_0_hat = E[x_0 | x_t] (B, C, ...), mask_prob = E[y | x_t] (B, K, ...)."""

Callback = Callable[[dict[str, Any]], None]
"""Called after every evaluation with i, t, sigma, x_t, x_0_hat, mask_prob; from the ODE also y, its mask state at t."""


def sampling_timesteps(num_timesteps: int, num_inference_steps: int) -> list[int]:
    """t = T, ..., 1, 0: `num_inference_steps` values spaced evenly (to rounding) from T down to 1, then 0.

    With one step this is [T, 0].

    Raises:
        ValueError: when `num_inference_steps` is not in 1..T.
    """
    if not 1 <= num_inference_steps <= num_timesteps:
        raise ValueError(f"num_inference_steps must be in 1..{num_timesteps} (the schedule's T), got {num_inference_steps}")
    spaced = torch.linspace(num_timesteps, 1, num_inference_steps, dtype=torch.float64)
    return [*spaced.round().long().tolist(), 0]


@torch.no_grad()
def sample_ode(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule,
    num_inference_steps: int = 50,
    y_T: Tensor | None = None,
    callback: Callback | None = None,
) -> tuple[Tensor, Tensor]:
    """Proposition B: probability-flow ODE dz/dsigma = (z - E[z | x_sigma]) / sigma on the pair; DDIM (Song 2021) in x.

    Each step is exact for a denoiser that is constant over it (first order). The mask channels ride along with the same
    rule from an arbitrary start, which is forgotten as sigma_t / sigma_T; they never reach the denoiser, so they cannot
    influence x.

    Args:
        denoiser: E[x_0 | x_t] and E[y | x_t].
        x_T: (B, C, ...) standard normal start; the only randomness, so the same x_T gives the same pair.
        schedule: alpha_bar_t for t = 0..T.
        num_inference_steps: steps, 1..T.
        y_T: (B, K, ...) start of the mask channels; None means zeros.
        callback: see `Callback`.

    Returns:
        x_0 (B, C, ...) and y_0 = E[y | x_0] (B, K, ...), class probabilities.

    Raises:
        ValueError: when `num_inference_steps` is not in 1..T, or a shape does not fit.
    """
    times = sampling_timesteps(schedule.num_timesteps, num_inference_steps)
    x_t, y = _at_least_float32(x_T), y_T
    for i, (t, t_next) in enumerate(pairwise(times)):
        x_0_hat, mask_prob = _evaluate(denoiser, x_t, t)
        y = _mask_state(y, mask_prob)
        _report(callback, i, t, schedule, x_t=x_t, x_0_hat=x_0_hat, mask_prob=mask_prob, y=y)
        r = _sigma(schedule, t_next) / _sigma(schedule, t)
        z = r * (x_t / _scale(schedule, t)) + (1 - r) * x_0_hat
        y = r * y + (1 - r) * mask_prob
        x_t = _scale(schedule, t_next) * z
    x_0_hat, y_0 = _evaluate(denoiser, x_t, 0)
    _report(callback, num_inference_steps, 0, schedule, x_t=x_t, x_0_hat=x_0_hat, mask_prob=y_0, y=_mask_state(y, y_0))
    return x_t, y_0


@torch.no_grad()
def sample_sde(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule,
    num_inference_steps: int = 1000,
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
) -> tuple[Tensor, Tensor]:
    """Proposition A: ancestral sampling of the reverse SDE, by the DDPM posterior (Ho 2020, eq. 7).

    E[y | x_t] is a bounded martingale along the reversed path, so it converges, to E[y | x_0] = f(x_0): the mask.
    The posterior leaves out the spread of x_0 given x_t; take more steps than for the ODE.

    Args:
        denoiser: E[x_0 | x_t] and E[y | x_t].
        x_T: (B, C, ...) standard normal start.
        schedule: alpha_bar_t for t = 0..T.
        num_inference_steps: steps, 1..T.
        generator: source of the noise, for replay; drawn on its device, so a CPU generator replays on any device.
        callback: see `Callback`; without y.

    Returns:
        x_0 (B, C, ...) and y_0 = E[y | x_0] (B, K, ...), class probabilities.

    Raises:
        ValueError: when `num_inference_steps` is not in 1..T, or a shape does not fit.
    """
    times = sampling_timesteps(schedule.num_timesteps, num_inference_steps)
    x_t = _at_least_float32(x_T)
    for i, (t, t_next) in enumerate(pairwise(times)):
        x_0_hat, mask_prob = _evaluate(denoiser, x_t, t)
        _report(callback, i, t, schedule, x_t=x_t, x_0_hat=x_0_hat, mask_prob=mask_prob)
        r2 = (_sigma(schedule, t_next) / _sigma(schedule, t)) ** 2
        z = r2 * (x_t / _scale(schedule, t)) + (1 - r2) * x_0_hat
        if t_next > 0:
            z = z + _sigma(schedule, t_next) * (1 - r2) ** 0.5 * draw_noise(x_t, generator)
        x_t = _scale(schedule, t_next) * z
    x_0_hat, y_0 = _evaluate(denoiser, x_t, 0)
    _report(callback, num_inference_steps, 0, schedule, x_t=x_t, x_0_hat=x_0_hat, mask_prob=y_0)
    return x_t, y_0


def draw_noise(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal of the shape, dtype and device of `like`, drawn on the generator's device."""
    device = generator.device if generator is not None else like.device
    return torch.randn(like.shape, generator=generator, device=device, dtype=like.dtype).to(like.device)


def network_denoiser(
    network: Callable[..., Tensor],
    schedule: NoiseSchedule,
    prediction_type: str,
    num_image_channels: int,
    clip: tuple[float, float] | None = (-1.0, 1.0),
) -> Denoiser:
    """The denoiser of a hybrid network: x_0_hat from its image channels, clipped, and the softmax of its mask logits.

    Args:
        network: called as `network(x_t, timesteps=t, return_noise=True)`; returns (B, C + K, ...), image
            channels first, then mask logits.
        schedule: the schedule of the training.
        prediction_type: what the image channels were trained for: "epsilon", "v" or "sample".
        num_image_channels: C.
        clip: range of clean images, to which x_0_hat is clipped; keeps few-step sampling stable. None: no clip.

    Raises:
        ValueError: for an unknown prediction type or an empty range; on a call, when the network returns fewer than
            C + 2 channels.
    """
    check_prediction_type(prediction_type)
    if clip is not None and not clip[0] < clip[1]:
        raise ValueError(f"clip must be (low, high) with low < high, or None, got {clip}")

    def denoise(x_t: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        output = network(x_t, timesteps=timesteps, return_noise=True).float()
        if output.shape[1] < num_image_channels + 2:
            raise ValueError(
                f"the network must return {num_image_channels} image channels and at least 2 mask channels, "
                f"got {output.shape[1]} channels"
            )
        prediction, logits = output[:, :num_image_channels], output[:, num_image_channels:]
        x_0_hat = predicted_x_0(prediction, x_t, timesteps, schedule, prediction_type)
        return x_0_hat if clip is None else x_0_hat.clamp(*clip), logits.softmax(dim=1)

    return denoise


def _scale(schedule: NoiseSchedule, t: int) -> float:
    """sqrt(alpha_bar_t); exactly 1 at t = 0."""
    return float(schedule.alpha_bar[t]) ** 0.5


def _sigma(schedule: NoiseSchedule, t: int) -> float:
    """Noise-to-signal ratio sigma_t = sqrt((1 - alpha_bar_t) / alpha_bar_t); exactly 0 at t = 0."""
    alpha_bar = float(schedule.alpha_bar[t])
    return ((1 - alpha_bar) / alpha_bar) ** 0.5


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _evaluate(denoiser: Denoiser, x_t: Tensor, t: int) -> tuple[Tensor, Tensor]:
    x_0_hat, mask_prob = denoiser(x_t, torch.full((x_t.shape[0],), t, dtype=torch.long, device=x_t.device))
    if x_0_hat.shape != x_t.shape:
        raise ValueError(
            f"the denoiser must return x_0_hat of the shape of x_t, {tuple(x_t.shape)}, got {tuple(x_0_hat.shape)}"
        )
    return x_0_hat, mask_prob


def _mask_state(y: Tensor | None, mask_prob: Tensor) -> Tensor:
    """The ODE's mask channels, zeros before the first step."""
    if y is None:
        return torch.zeros_like(mask_prob)
    if y.shape != mask_prob.shape:
        raise ValueError(f"y_T must have the shape of the mask channels, {tuple(mask_prob.shape)}, got {tuple(y.shape)}")
    return y.to(mask_prob)


def _report(callback: Callback | None, i: int, t: int, schedule: NoiseSchedule, **state: Tensor) -> None:
    if callback is not None:
        callback({"i": i, "t": t, "sigma": _sigma(schedule, t), **state})
