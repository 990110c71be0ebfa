"""Both propositions of arXiv 2408.03433 on a 1-D Gaussian mixture, whose posterior means are known in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monai_hybrid.diffusion.noising import NoiseSchedule, add_noise, prediction_target
from monai_hybrid.diffusion.sampling import Denoiser, network_denoiser, sample_ode, sample_sde, sampling_timesteps

WEIGHT = torch.tensor([0.35, 0.40, 0.25], dtype=torch.float64)
MEAN = torch.tensor([-0.60, 0.15, 0.75], dtype=torch.float64)
STD = torch.tensor([0.15, 0.25, 0.10], dtype=torch.float64)
THRESHOLD = 0.3
SCHEDULE = NoiseSchedule(1000, "cosine")
PATHS, STEPS = {"ode": 4_000, "sde": 20_000}, 400  # the ODE starts at quantiles: few show its law


def normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def noised_cdf(x: Tensor, t: int) -> Tensor:
    """P(x_t <= x), exact; t = 0 is the data."""
    alpha_bar = SCHEDULE.alpha_bar[t]
    std = (alpha_bar * STD**2 + 1 - alpha_bar).sqrt()
    return (WEIGHT * normal_cdf((x[..., None] - alpha_bar.sqrt() * MEAN) / std)).sum(-1)


def exact_denoiser(x_t: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """E[x_0 | x_t] and E[y | x_t] for y = one-hot of 1[x_0 > 0.3]; x_t (B, 1, n)."""
    alpha_bar = SCHEDULE.alpha_bar[timesteps].view(-1, 1, 1, 1)
    a, s2 = alpha_bar.sqrt(), 1 - alpha_bar
    x = x_t.double()[..., None]
    var_t = alpha_bar * STD**2 + s2
    log_weight = WEIGHT.log() - 0.5 * var_t.log() - (x - a * MEAN) ** 2 / (2 * var_t)
    weight = log_weight.softmax(-1)
    mean = MEAN + a * STD**2 / var_t * (x - a * MEAN)
    std = (STD**2 * s2 / var_t).sqrt()
    p = (weight * normal_cdf((mean - THRESHOLD) / std)).sum(-1)
    return (weight * mean).sum(-1).to(x_t), torch.cat([1 - p, p], 1).to(x_t)


def start(n: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """x_T (1, 1, n): the n mid-quantiles of the standard normal, which leave the sampler's error alone to be seen."""
    levels = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return torch.special.ndtri(levels).view(1, 1, n).to(dtype)


def draw(
    sampler: str, steps: int = STEPS, n: int | None = None, dtype: torch.dtype = torch.float64, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    n = PATHS[sampler] if n is None else n
    if sampler == "ode":
        return sample_ode(exact_denoiser, start(n, dtype), SCHEDULE, steps, **kwargs)
    generator = torch.Generator().manual_seed(1)
    return sample_sde(exact_denoiser, start(n, dtype), SCHEDULE, steps, generator=generator, **kwargs)


TRUE_P = float(1 - noised_cdf(torch.tensor(THRESHOLD, dtype=torch.float64), 0))
TRUE_MEAN = float((WEIGHT * MEAN).sum())
TRUE_VAR = float((WEIGHT * (STD**2 + MEAN**2)).sum()) - TRUE_MEAN**2


Drawn = tuple[Tensor, Tensor, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def drawn() -> Callable[[str], Drawn]:
    """x_0, y_0 and of each step t, the mask estimate and the mask state of a sampler in float64, made once."""

    def make(sampler: str) -> Drawn:
        states: list[dict[str, Any]] = []
        kept = {"ode": ("t", "y"), "sde": ("t", "mask_prob")}[sampler]
        return *draw(sampler, callback=lambda state: states.append({name: state[name] for name in kept})), states

    return cache(make)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("sampler", ["ode", "sde"])
def test_pairs_have_the_joint_law(sampler: str, dtype: torch.dtype, drawn: Callable[[str], Drawn]) -> None:
    x_0, y_0 = drawn(sampler)[:2] if dtype == torch.float64 else draw(sampler, dtype=dtype)
    x, y = x_0.flatten(), y_0[:, 1].flatten()
    n = PATHS[sampler]
    assert x_0.dtype == y_0.dtype == dtype and x_0.shape == (1, 1, n) and y_0.shape == (1, 2, n)
    assert (y - (x > THRESHOLD).to(y)).abs().mean() < 0.01
    assert abs(y.mean() - TRUE_P) < 0.01
    assert abs(x.mean() - TRUE_MEAN) < 0.012
    assert abs(x.var() - TRUE_VAR) < 0.01
    points = torch.linspace(-1.2, 1.2, 25, dtype=torch.float64)
    assert max(abs((x <= q).double().mean() - noised_cdf(q, 0)) for q in points) < 0.015


def test_the_carried_mask_state_converges_to_f_of_x_0(drawn: Callable[[str], Drawn]) -> None:
    """The non-trivial half of proposition B: y is integrated from t = T, not read off at the end."""
    x_0, _, states = drawn("ode")
    f = (x_0[:, 0] > THRESHOLD).double()
    last_steps = {s["t"]: float((s["y"][:, 1] - f).abs().mean()) for s in states if s["t"] <= 16}
    assert last_steps[0] < 0.01  # E[y | x_1]: the plain rule, before the pass at t = 0
    assert last_steps[0] < last_steps[1] < last_steps[16]
    assert float((states[0]["y"][:, 1] - f).abs().mean()) > 0.3


def test_the_pass_at_0_removes_the_blur_of_the_last_step() -> None:
    states: list[dict[str, Any]] = []
    x_0, y_0 = draw("ode", steps=20, callback=states.append)
    f = (x_0[:, 0] > THRESHOLD).double()
    assert torch.allclose(y_0[:, 1], f)  # the weights of the mixture sum to 1 up to rounding
    assert float((states[-1]["y"][:, 1] - f).abs().mean()) > 1e-3


def test_the_mask_estimate_is_a_martingale_along_the_reverse_sde(drawn: Callable[[str], Drawn]) -> None:
    """Proposition A rests on it: E[y | x_t] keeps its mean, and its spread only grows, until it is 0 or 1."""
    _, _, states = drawn("sde")
    p = torch.stack([s["mask_prob"][0, 1] for s in states])
    assert (p.mean(1) - TRUE_P).abs().max() < 0.015
    assert (p.var(1).diff() > -0.001).all() and p[0].var() < 0.001
    assert abs(p[-1].var() - TRUE_P * (1 - TRUE_P)) < 0.005


def test_the_ode_follows_the_exact_transport_and_its_error_is_of_first_order() -> None:
    """In one dimension the flow is the monotone map F_0^-1(F_T(x_T)); twice the steps, about half the error."""
    x_T = start(n=2000)
    grid = torch.linspace(-2.5, 2.5, 200_001, dtype=torch.float64)
    index = torch.searchsorted(noised_cdf(grid, 0), noised_cdf(x_T, SCHEDULE.num_timesteps))
    truth = grid[index]
    error = [float((sample_ode(exact_denoiser, x_T, SCHEDULE, n)[0] - truth).abs().mean()) for n in (25, 50, 100, 200, 400)]
    assert all(1.6 < coarse / fine < 2.4 for coarse, fine in pairwise(error)), error
    assert error[-1] < 0.005


def test_more_sde_steps_bring_the_law_closer() -> None:
    def distance(steps: int) -> float:
        x = draw("sde", steps)[0].flatten()
        return max(float(abs((x <= q).double().mean() - noised_cdf(q, 0))) for q in torch.linspace(-1, 1, 21).double())

    assert distance(100) < distance(10) < distance(2)


def test_y_T_influences_nothing_but_the_forgotten_mask_state() -> None:
    last: list[list[dict[str, Any]]] = [[], []]
    y_T = 5 * torch.randn(1, 2, 2000, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    x_zero, y_zero = draw("ode", n=2000, callback=last[0].append)
    x_far, y_far = draw("ode", n=2000, y_T=y_T, callback=last[1].append)
    assert torch.equal(x_zero, x_far)
    assert torch.equal(y_zero, y_far)
    before = [next(s["y"] for s in states if s["t"] == 1) for states in last]
    assert 0 < (before[0] - before[1]).abs().max() < 0.001
    assert (last[0][0]["y"] - last[1][0]["y"]).abs().max() > 5


@pytest.mark.parametrize("sampler", ["ode", "sde"])
def test_same_seed_same_pair(sampler: str) -> None:
    state = torch.get_rng_state()
    first, again = draw(sampler, 20), draw(sampler, 20)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert torch.equal(state, torch.get_rng_state())  # the global generator is left alone


def test_another_generator_another_pair() -> None:
    pair = [sample_sde(exact_denoiser, start(n=50), SCHEDULE, 20, torch.Generator().manual_seed(seed))[0] for seed in (1, 2)]
    assert not torch.equal(*pair)


def test_the_global_seed_replays_without_a_generator() -> None:
    xs = []
    for _ in range(2):
        torch.manual_seed(3)
        xs.append(sample_sde(exact_denoiser, start(n=50), SCHEDULE, 20)[0])
    assert torch.equal(*xs)


@given(num_timesteps=st.integers(1, 300), share=st.floats(0, 1))
def test_timesteps_fall_strictly_from_T_to_0(num_timesteps: int, share: float) -> None:
    steps = 1 + round(share * (num_timesteps - 1))
    times = sampling_timesteps(num_timesteps, steps)
    assert len(times) == steps + 1 and times[0] == num_timesteps and times[-1] == 0
    assert all(a > b for a, b in pairwise(times))
    gaps = [a - b for a, b in pairwise(times[:-1])]
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("sampler", [sample_ode, sample_sde])
@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_a_step_count_out_of_range_is_refused(sampler: Any, steps: int) -> None:
    with pytest.raises(ValueError, match=rf"num_inference_steps must be in 1\.\.1000 .*got {steps}"):
        sampler(exact_denoiser, start(n=4), SCHEDULE, steps)


@pytest.mark.parametrize("sampler", [sample_ode, sample_sde])
@pytest.mark.parametrize("steps", [1, 1000])
def test_the_extreme_step_counts_are_accepted(sampler: Any, steps: int) -> None:
    calls: list[int] = []
    x_0, y_0 = sampler(exact_denoiser, start(n=4), SCHEDULE, steps, callback=lambda s: calls.append(s["t"]))
    assert x_0.isfinite().all() and y_0.isfinite().all()
    assert len(calls) == steps + 1 and calls[0] == 1000 and calls[-1] == 0


def test_shapes_that_do_not_fit_are_refused_and_their_twins_accepted() -> None:
    with pytest.raises(ValueError, match=r"y_T must have the shape of the mask channels, \(1, 2, 4\), got \(1, 3, 4\)"):
        sample_ode(exact_denoiser, start(n=4), SCHEDULE, 2, y_T=torch.zeros(1, 3, 4))
    sample_ode(exact_denoiser, start(n=4), SCHEDULE, 2, y_T=torch.zeros(1, 2, 4))
    wrong: Denoiser = lambda x, t: (x[:, :, :2], x)  # noqa: E731
    with pytest.raises(ValueError, match=r"x_0_hat of the shape of x_t, \(1, 1, 4\), got \(1, 1, 2\)"):
        sample_sde(wrong, start(n=4), SCHEDULE, 2)


def test_callback_reports_what_it_promises() -> None:
    for sampler, extra in ((sample_ode, {"y"}), (sample_sde, set())):
        states: list[dict[str, Any]] = []
        sampler(exact_denoiser, start(n=4), SCHEDULE, 3, callback=states.append)
        assert [s["i"] for s in states] == [0, 1, 2, 3]
        assert set(states[0]) == {"i", "t", "sigma", "x_t", "x_0_hat", "mask_prob"} | extra
        assert states[-1]["sigma"] == 0 and states[0]["sigma"] > 100


class OracleNetwork(torch.nn.Module):
    """Knows x_0 and answers in any prediction type, with fixed logits."""

    def __init__(self, x_0: Tensor, prediction_type: str, num_classes: int = 3) -> None:
        super().__init__()
        self.x_0, self.prediction_type, self.num_classes = x_0, prediction_type, num_classes
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, timesteps: Tensor, return_noise: bool = False) -> Tensor:
        assert return_noise
        a, s = SCHEDULE.signal_and_noise(timesteps, x)
        epsilon = (x - a * self.x_0) / s.clamp(min=1e-6)
        image = prediction_target(self.x_0, epsilon, timesteps, SCHEDULE, self.prediction_type)
        logits = torch.arange(self.num_classes).float().view(1, -1, 1, 1).expand(x.shape[0], -1, *x.shape[2:])
        return torch.cat([image, logits], 1) * self.weight


@pytest.mark.parametrize("prediction_type", ["epsilon", "v", "sample"])
@pytest.mark.parametrize("sampler", [sample_ode, sample_sde])
def test_network_denoiser_finds_the_image_of_an_oracle(sampler: Any, prediction_type: str) -> None:
    x_0 = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    denoiser = network_denoiser(OracleNetwork(x_0, prediction_type), SCHEDULE, prediction_type, num_image_channels=3)
    x, y = sampler(denoiser, torch.randn(2, 3, 4, 5), SCHEDULE, 10)
    assert torch.allclose(x, x_0, atol=1e-4)
    assert y.shape == (2, 3, 4, 5) and torch.allclose(y.sum(1), torch.ones(2, 4, 5))
    assert (y.argmax(1) == 2).all()
    assert not x.requires_grad and not y.requires_grad


def test_network_denoiser_clips_unless_told_not_to() -> None:
    network = OracleNetwork(torch.full((1, 1, 2, 2), 3.0), "sample")
    x_t, t = torch.zeros(1, 1, 2, 2), torch.tensor([500])
    assert network_denoiser(network, SCHEDULE, "sample", 1)(x_t, t)[0].max() == 1
    assert network_denoiser(network, SCHEDULE, "sample", 1, clip=(0, 2))(x_t, t)[0].max() == 2
    assert network_denoiser(network, SCHEDULE, "sample", 1, clip=None)(x_t, t)[0].max() == 3


def test_network_denoiser_refuses_what_it_cannot_read() -> None:
    x_0, t = torch.zeros(1, 1, 2, 2), torch.tensor([1])
    with pytest.raises(ValueError, match="prediction_type must be one of epsilon, v, sample, got 'noise'"):
        network_denoiser(OracleNetwork(x_0, "v"), SCHEDULE, "noise", 1)
    with pytest.raises(ValueError, match="low < high"):
        network_denoiser(OracleNetwork(x_0, "v"), SCHEDULE, "v", 1, clip=(1, -1))
    with pytest.raises(ValueError, match="1 image channels and at least 2 mask channels, got 2 channels"):
        network_denoiser(OracleNetwork(x_0, "v", num_classes=1), SCHEDULE, "v", 1)(x_0, t)
    assert network_denoiser(OracleNetwork(x_0, "v", num_classes=2), SCHEDULE, "v", 1)(x_0, t)[1].shape == (1, 2, 2, 2)


def test_half_precision_input_is_computed_in_float32() -> None:
    x_T = start(n=8).half()
    x_0, y_0 = sample_ode(exact_denoiser, x_T, SCHEDULE, 5)
    assert x_0.dtype == y_0.dtype == torch.float32


def test_the_mixture_denoiser_is_the_regression_on_noised_data() -> None:
    """Guards the test's own closed form: binned averages over simulated pairs match it."""
    generator = torch.Generator().manual_seed(0)
    n, t = 400_000, 300
    component = torch.multinomial(WEIGHT, n, replacement=True, generator=generator)
    x_0 = MEAN[component] + STD[component] * torch.randn(n, generator=generator, dtype=torch.float64)
    epsilon = torch.randn(n, generator=generator, dtype=torch.float64)
    x_t = add_noise(x_0[None, None], epsilon[None, None], torch.tensor([t]), SCHEDULE).double()
    x_hat, p_hat = exact_denoiser(x_t, torch.tensor([t]))
    for low in (-0.8, -0.2, 0.1, 0.5):
        near = ((x_t > low) & (x_t < low + 0.2)).flatten()
        assert abs(x_0[near].mean() - x_hat.flatten()[near].mean()) < 0.01
        assert abs((x_0[near] > THRESHOLD).double().mean() - p_hat[:, 1].flatten()[near].mean()) < 0.01
