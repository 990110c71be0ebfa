"""The forward process: exact at t = 0, variance preserving, invertible, and replayable."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monai_hybrid.diffusion.noising import (
    PREDICTION_TYPES,
    SCHEDULES,
    NoiseSchedule,
    add_noise,
    draw_timesteps,
    predicted_x_0,
    prediction_target,
)


def pair(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator) * 2 - 1, torch.randn(shape, generator=generator)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("num_timesteps", [10, 250, 1000])
def test_alpha_bar_falls_from_exactly_1_to_almost_nothing(schedule: str, num_timesteps: int) -> None:
    alpha_bar = NoiseSchedule(num_timesteps, schedule).alpha_bar
    assert alpha_bar.shape == (num_timesteps + 1,) and alpha_bar.dtype == torch.float64
    assert alpha_bar[0] == 1
    floor = alpha_bar == 1e-5  # the cosine's last trace of signal, shared by the last three steps at T = 1000
    assert (alpha_bar.diff()[~floor[1:]] < 0).all() and (alpha_bar.diff() <= 0).all() and int(floor.sum()) <= 3
    assert 0 < alpha_bar[-1] < 1e-4


def test_known_values() -> None:
    """The linear schedule is Ho et al.'s product of (1 - beta); the cosine one is near 1/2 half-way."""
    linear = NoiseSchedule(1000, "linear").alpha_bar
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    assert linear[1] == 1 - beta[0] and torch.isclose(linear[1000], torch.prod(1 - beta))
    assert abs(float(NoiseSchedule(1000, "cosine").alpha_bar[500]) - 0.494) < 0.001


@pytest.mark.parametrize("num_timesteps", [10, 1000])
def test_the_cosine_schedule_is_that_of_its_paper_and_keeps_a_trace_of_signal(num_timesteps: int) -> None:
    """Nichol & Dhariwal's formula down to 1e-5, where it stays: at T itself the formula gives 0, and x_0 would be 0 / 0."""
    t = torch.arange(num_timesteps + 1, dtype=torch.float64) / num_timesteps
    f = torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2
    alpha_bar = NoiseSchedule(num_timesteps, "cosine").alpha_bar
    assert torch.allclose(alpha_bar, torch.where(f / f[0] < 1e-5, 1e-5, f / f[0]), rtol=1e-12)
    assert alpha_bar[-1] == 1e-5 and float(f[-1] / f[0]) < 1e-20
    noise, last = NoiseSchedule(num_timesteps, "cosine"), torch.tensor([num_timesteps])
    x_0, epsilon = pair(1, 1, 64)
    x_T = add_noise(x_0, epsilon, last, noise)
    assert torch.allclose(predicted_x_0(epsilon, x_T, last, noise, "epsilon"), x_0, atol=1e-3)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_noise_at_0_bit_for_bit(schedule: str) -> None:
    x_0, epsilon = pair(3, 2, 5, 4)
    assert torch.equal(add_noise(x_0, epsilon, torch.zeros(3), NoiseSchedule(100, schedule)), x_0)
    mixed = add_noise(x_0, epsilon, torch.tensor([0, 50, 0]), NoiseSchedule(100, schedule))
    assert torch.equal(mixed[[0, 2]], x_0[[0, 2]]) and not torch.equal(mixed[1], x_0[1])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("t", [0, 1, 40, 99, 100])
def test_variance_is_preserved(schedule: str, t: int) -> None:
    a, s = NoiseSchedule(100, schedule).signal_and_noise(torch.tensor([t]), torch.zeros(1, 1, 2, 2))
    assert a.shape == s.shape == (1, 1, 1, 1) and a.dtype == s.dtype == torch.float32
    assert abs(float(a**2 + s**2) - 1) < 1e-6
    generator = torch.Generator().manual_seed(t)
    x_0, epsilon = (torch.randn(1, 1, 100_000, generator=generator) for _ in range(2))
    assert abs(add_noise(x_0, epsilon, torch.tensor([t]), NoiseSchedule(100, schedule)).var() - 1) < 0.02


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_predicted_x_0_inverts_the_target(schedule: str, prediction_type: str) -> None:
    noise = NoiseSchedule(1000, schedule)
    timesteps = torch.tensor([0, 1, 250, 700, 950])
    x_0, epsilon = pair(5, 2, 4, 4, 4)
    x_t = add_noise(x_0, epsilon, timesteps, noise)
    target = prediction_target(x_0, epsilon, timesteps, noise, prediction_type)
    assert target.shape == x_0.shape and target.dtype == torch.float32
    assert torch.allclose(predicted_x_0(target, x_t, timesteps, noise, prediction_type), x_0, atol=1e-4)


@given(t=st.integers(0, 1000), seed=st.integers(0, 100))
def test_v_is_orthogonal_to_x_t(t: int, seed: int) -> None:
    """(x_t, v) is (x_0, epsilon) turned by an angle (Salimans & Ho 2022, appendix D), so the norm of the pair stays."""
    noise, timesteps = NoiseSchedule(1000, "cosine"), torch.tensor([t])
    x_0, epsilon = pair(1, 1, 16, seed=seed)
    x_t = add_noise(x_0, epsilon, timesteps, noise)
    v = prediction_target(x_0, epsilon, timesteps, noise, "v")
    assert torch.allclose((x_t**2 + v**2).sum(), (x_0**2 + epsilon**2).sum(), rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_calls_do_not_spoil_the_schedule(dtype: torch.dtype) -> None:
    noise = NoiseSchedule(1000, "cosine")
    before = noise.alpha_bar.clone()
    x_0, epsilon = pair(2, 1, 8)
    x_0, epsilon, timesteps = x_0.to(dtype), epsilon.to(dtype), torch.tensor([3, 997])
    x_t = add_noise(x_0, epsilon, timesteps, noise)
    assert x_t.dtype == torch.float32
    for prediction_type in PREDICTION_TYPES:
        target = prediction_target(x_0, epsilon, timesteps, noise, prediction_type)
        predicted = predicted_x_0(target.to(dtype), x_t.to(dtype), timesteps, noise, prediction_type)
        assert target.dtype == predicted.dtype == torch.float32
    assert torch.equal(noise.alpha_bar, before) and noise.alpha_bar.dtype == torch.float64
    assert torch.equal(x_t, add_noise(x_0.float(), epsilon.float(), timesteps, noise))


@pytest.mark.parametrize(("batch", "share"), [(8, 0.25), (10, 0.5), (4, 0.0), (4, 1.0), (16, 0.125)])
def test_the_clean_share_is_exact_where_it_divides_the_batch(batch: int, share: float) -> None:
    for seed in range(20):
        timesteps = draw_timesteps(100, share, torch.ones(batch, dtype=torch.bool), torch.Generator().manual_seed(seed))
        assert int((timesteps == 0).sum()) == round(share * batch)
        assert timesteps.dtype == torch.int64 and timesteps.shape == (batch,)


def test_the_clean_share_is_met_in_expectation_where_it_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    all_labelled = torch.ones(3, dtype=torch.bool)
    counts = [int((draw_timesteps(100, 0.2, all_labelled, generator) == 0).sum()) for _ in range(4000)]
    assert set(counts) == {0, 1}
    assert abs(sum(counts) / 4000 - 0.6) < 0.03


@given(flags=st.lists(st.booleans(), min_size=1, max_size=12), share=st.floats(0, 1), seed=st.integers(0, 10_000))
def test_unlabelled_samples_are_never_clean(flags: list[bool], share: float, seed: int) -> None:
    may_be_clean = torch.tensor(flags)
    timesteps = draw_timesteps(50, share, may_be_clean, torch.Generator().manual_seed(seed))
    assert (timesteps[~may_be_clean] > 0).all()
    assert ((timesteps >= 0) & (timesteps <= 50)).all()
    clean = int((timesteps == 0).sum())
    assert int(share * sum(flags)) <= clean <= min(int(share * sum(flags)) + 1, sum(flags))


@pytest.mark.parametrize(("labelled", "clean"), [(8, {4}), (6, {3}), (4, {2}), (3, {1, 2}), (1, {0, 1}), (0, {0})])
def test_the_clean_share_is_of_the_labelled_samples(labelled: int, clean: set[int]) -> None:
    """Of the whole batch it would leave a half-labelled batch nearly without a labelled noisy sample."""
    generator, flags = torch.Generator().manual_seed(0), torch.arange(8) < labelled
    counts = [int((draw_timesteps(100, 0.5, flags, generator) == 0).sum()) for _ in range(400)]
    assert set(counts) == clean
    assert abs(sum(counts) / 400 - labelled / 2) < 0.1


def test_half_labelled_batches_are_a_quarter_labelled_and_noisy() -> None:
    generator = torch.Generator().manual_seed(0)
    labelled = torch.rand(4000, 8, generator=generator) < 0.5
    timesteps = torch.stack([draw_timesteps(100, 0.5, flags, generator) for flags in labelled])
    noisy = labelled & (timesteps > 0)
    assert abs(float(noisy.float().mean()) - 0.25) < 0.01
    assert abs(float((timesteps == 0).float().mean()) - 0.25) < 0.01
    assert float((~noisy.any(1)).float().mean()) < 0.05, "batches without the noisy mask term"


def test_noised_samples_are_uniform_on_1_to_T() -> None:
    generator = torch.Generator().manual_seed(0)
    timesteps = draw_timesteps(10, 0.0, torch.ones(50_000, dtype=torch.bool), generator)
    share = torch.bincount(timesteps, minlength=11) / 50_000
    assert share[0] == 0 and (share[1:] - 0.1).abs().max() < 0.006


def test_every_labelled_sample_gets_its_turn_to_be_clean() -> None:
    generator = torch.Generator().manual_seed(0)
    flags = torch.tensor([True, True, False, True])
    clean = torch.stack([draw_timesteps(10, 1 / 3, flags, generator) == 0 for _ in range(3000)]).float().mean(0)
    assert clean[2] == 0 and (clean[[0, 1, 3]] - 1 / 3).abs().max() < 0.04


def test_a_draw_is_replayed_by_its_generator() -> None:
    flags = torch.ones(64, dtype=torch.bool)
    first, again, other = (draw_timesteps(1000, 0.3, flags, torch.Generator().manual_seed(s)) for s in (4, 4, 5))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_bad_schedules_are_refused_and_their_twins_accepted() -> None:
    with pytest.raises(ValueError, match="schedule must be one of cosine, linear, got 'sigmoid'"):
        NoiseSchedule(10, "sigmoid")
    with pytest.raises(ValueError, match="num_timesteps must be at least 1, got 0"):
        NoiseSchedule(0)
    assert NoiseSchedule(1, "linear").num_timesteps == 1
