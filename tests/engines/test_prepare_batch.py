"""Noising a batch: what each arm's network sees, replayable, on plain tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor

from monai_hybrid.diffusion.noising import PREDICTION_TYPES, NoiseSchedule, add_noise, prediction_target
from monai_hybrid.engines import HybridPrepareBatch
from monai_hybrid.errors import ConfigError
from monai_hybrid.losses import OBJECTIVES

T = 50


def batch_of(flags: list[int], seed: int = 0, channels: int = 1) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "image": torch.rand(len(flags), channels, 4, 6, generator=generator) * 2 - 1,
        "label": torch.randint(3, (len(flags), 1, 4, 6), generator=generator).float(),
        "has_label": torch.tensor(flags),
    }


@settings(max_examples=40)
@given(
    flags=st.lists(st.integers(0, 1), min_size=1, max_size=8),
    objective=st.sampled_from([name for name, o in OBJECTIVES.items() if not o.two_pass]),
    prediction_type=st.sampled_from(PREDICTION_TYPES),
    seed=st.integers(0, 1000),
)
def test_what_holds_for_every_batch(flags: list[int], objective: str, prediction_type: str, seed: int) -> None:
    batch = batch_of(flags, seed)
    prepare = HybridPrepareBatch(NoiseSchedule(T), objective, prediction_type=prediction_type)
    x_t, target, positional, arguments = prepare(batch)
    clean = target.timesteps == 0
    assert torch.equal(x_t[clean], batch["image"][clean])
    assert all(not torch.equal(a, b) for a, b in zip(x_t[~clean], batch["image"][~clean], strict=True))
    assert ((target.timesteps >= 0) & (target.timesteps <= T)).all()
    assert not (clean & ~target.has_label).any()
    assert target.has_label.tolist() == [bool(flag) for flag in flags]
    assert torch.equal(target.label, batch["label"].long()) and target.label.dtype == torch.int64
    assert (target.image_term, target.mask_on_noisy) == (OBJECTIVES[objective].image_term, OBJECTIVES[objective].mask_on_noisy)
    assert positional == () and arguments["return_noise"] is True
    assert torch.equal(arguments["timesteps"], target.timesteps)


@pytest.mark.parametrize(("objective", "clean"), [("hybrid", 4), ("noisy_supervised", 4), ("supervised", 8), ("diffusion", 0)])
def test_the_share_of_clean_inputs(objective: str, clean: int) -> None:
    prepare = HybridPrepareBatch(NoiseSchedule(T), objective)
    for _ in range(10):
        assert int((prepare(batch_of([1] * 8))[1].timesteps == 0).sum()) == clean


def test_the_share_of_clean_inputs_can_be_set() -> None:
    prepare = HybridPrepareBatch(NoiseSchedule(T), "hybrid", clean_fraction=0.25)
    assert int((prepare(batch_of([1] * 8))[1].timesteps == 0).sum()) == 2


@pytest.mark.parametrize(("objective", "clean"), [("hybrid", 2), ("noisy_supervised", 2), ("supervised", 4), ("diffusion", 0)])
def test_the_share_of_clean_inputs_is_of_the_labelled_ones(objective: str, clean: int) -> None:
    prepare = HybridPrepareBatch(NoiseSchedule(T), objective)
    for _ in range(10):
        target = prepare(batch_of([1, 0] * 4))[1]
        assert int((target.timesteps == 0).sum()) == clean
        assert int((target.has_label & (target.timesteps > 0)).sum()) == 4 - clean


def test_two_pass_gives_every_image_both_ways() -> None:
    batch = batch_of([1, 0, 1])
    x_t, target, _, _ = HybridPrepareBatch(NoiseSchedule(T), "two_pass")(batch)
    assert x_t.shape[0] == target.label.shape[0] == target.image.shape[0] == 6
    assert (target.timesteps[:3] > 0).all() and (target.timesteps[3:] == 0).all()
    assert torch.equal(x_t[3:], batch["image"])
    assert torch.equal(target.label[:3], target.label[3:]) and target.has_label.tolist() == [True, False, True] * 2
    assert target.image_term and not target.mask_on_noisy


@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_a_batch_is_replayed_by_the_seed(objective: str) -> None:
    prepare, batch, made = HybridPrepareBatch(NoiseSchedule(T), objective), batch_of([1] * 8), []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        x_t, target, _, _ = prepare(batch)
        made.append((x_t, target.timesteps, target.image))
    assert all(torch.equal(a, b) for a, b in zip(made[0], made[1], strict=True))
    assert not torch.equal(made[0][2], made[2][2])


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_the_deterministic_half_is_the_forward_process(prediction_type: str) -> None:
    schedule, batch = NoiseSchedule(T), batch_of([1, 1, 1], channels=2)
    timesteps, epsilon = torch.tensor([0, 20, 50]), torch.randn(3, 2, 4, 6)
    prepare = HybridPrepareBatch(schedule, prediction_type=prediction_type)
    x_t, target, _, _ = prepare.apply(batch["image"], batch["label"].long(), torch.ones(3).bool(), timesteps, epsilon)
    assert torch.equal(x_t, add_noise(batch["image"], epsilon, timesteps, schedule))
    assert torch.equal(target.image, prediction_target(batch["image"], epsilon, timesteps, schedule, prediction_type))


@pytest.mark.parametrize("objective", ["hybrid", "two_pass"])
def test_only_plain_tensors_come_out(objective: str) -> None:
    """torch.compile and DistributedDataParallel fail on a MetaTensor among the arguments."""
    batch = batch_of([1, 0])
    batch["image"], batch["label"] = MetaTensor(batch["image"].half()), MetaTensor(batch["label"])
    x_t, target, _, arguments = HybridPrepareBatch(NoiseSchedule(T), objective)(batch)
    tensors = [x_t, target.image, target.label, target.timesteps, target.has_label, arguments["timesteps"]]
    assert [type(t) for t in tensors] == [torch.Tensor] * 6
    assert x_t.dtype == target.image.dtype == torch.float32


def test_wrong_settings_are_refused_and_right_ones_accepted() -> None:
    with pytest.raises(ConfigError, match="prediction_type: got 'noise', expected one of epsilon, v, sample"):
        HybridPrepareBatch(NoiseSchedule(T), prediction_type="noise")
    with pytest.raises(ConfigError, match="objective: got 'supervise', expected one of hybrid, supervised"):
        HybridPrepareBatch(NoiseSchedule(T), "supervise")
    assert HybridPrepareBatch(NoiseSchedule(T), "supervised", prediction_type="sample").objective.name == "supervised"


@pytest.mark.parametrize(("objective", "told"), [("hybrid", [0, 1, 1]), ("two_pass", [0, 1, 1, 0, 1, 1])])
def test_the_network_is_told_the_domain_of_each_image_noisy_or_clean(objective: str, told: list[int]) -> None:
    prepare = HybridPrepareBatch(NoiseSchedule(T), objective)
    x_t, _, _, arguments = prepare({**batch_of([1, 0, 1]), "domain": torch.tensor([0, 1, 1])})
    assert arguments["class_labels"].tolist() == told and len(x_t) == len(told)
    assert arguments["class_labels"].dtype == torch.int64
    assert "class_labels" not in prepare(batch_of([1, 0, 1]))[3]
