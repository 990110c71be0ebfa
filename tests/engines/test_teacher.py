"""Self-training: what the teacher says, how its weight rises, what the student sees, and the term of the loss."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.engines import HybridPrepareBatch, MeanTeacher, TeachingRamp
from monai_hybrid.errors import ConfigError
from monai_hybrid.losses.hybrid import HybridLoss, HybridTarget, Taught

K, T = 3, 50


class Says(nn.Module):
    """A network that gives these logits, and keeps what it saw."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits, self.seen = logits, []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return self.logits.expand(len(x), *self.logits.shape[1:])


def batch_of(flags: list[int], channels: int = 1) -> dict[str, Any]:
    shape = (len(flags), channels, 4, 6)
    image, view = torch.rand(shape), torch.rand(shape)
    return {"image": image, "teacher": view, "label": torch.zeros(shape)[:, :1], "has_label": torch.tensor(flags)}


def said() -> MeanTeacher:
    """Of class 2 it is sure in the left half, elsewhere it knows nothing."""
    logits = torch.zeros(1, K, 4, 6)
    logits[:, 2, :, :3] = 50.0
    return MeanTeacher(Says(logits))


def test_the_certainty_is_one_less_the_normalised_entropy() -> None:
    p = torch.tensor([0.7, 0.2, 0.1])
    taught = MeanTeacher(Says(p.log().view(1, K, 1, 1).expand(1, K, 4, 6)), weight=2.0)(
        torch.zeros(1, 1, 4, 6), torch.tensor([True])
    )
    entropy = -sum(float(q) * math.log(q) for q in p)
    assert torch.allclose(taught.certainty, torch.full((1, 1, 4, 6), 1 - entropy / math.log(K)), atol=1e-6)
    assert taught.label.dtype == torch.int64 and not taught.label.any()
    taught = said()(torch.zeros(1, 1, 4, 6), torch.tensor([True]))
    assert taught.label[0, 0, 0].tolist() == [2, 2, 2, 0, 0, 0]
    assert taught.certainty[0, 0, 0].tolist() == pytest.approx([1, 1, 1, 0, 0, 0], abs=1e-6)


def test_the_weight_rises_with_the_update_and_follows_from_it_alone() -> None:
    teacher = MeanTeacher(nn.Identity(), weight=2.0)
    ramp = TeachingRamp(teacher, updates=100)
    values = []
    for update in (1, 20, 40, 100):
        ramp.start_update(SimpleNamespace(state=SimpleNamespace(iteration=update)))
        values.append(teacher.ramp)
    assert values == sorted(values) and values[2:] == [1.0, 1.0]
    assert values[0] == pytest.approx(math.exp(-5 * 0.975**2)) and values[1] == pytest.approx(math.exp(-1.25))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_teacher_sees_its_own_clean_view_and_the_student_the_other_noised_or_not(channels: int) -> None:
    teacher, batch = said(), batch_of([1, 0, 0, 1, 0, 0, 0, 0], channels)
    x_t, target, _, _ = HybridPrepareBatch(NoiseSchedule(T), "hybrid", teacher=teacher)(batch)
    (seen,) = teacher.network.seen  # type: ignore[union-attr]
    unlabelled = batch["has_label"] == 0
    assert torch.equal(seen, batch["teacher"][unlabelled])
    assert target.taught is not None and torch.equal(target.taught.rows, unlabelled)
    assert target.has_label.tolist() == batch["has_label"].bool().tolist(), "a teacher's mask is no label"
    clean = target.timesteps == 0
    assert int((clean & unlabelled).sum()) == 3 and int((clean & ~unlabelled).sum()) == 1
    assert torch.equal(x_t[clean], batch["image"][clean])


def test_arms_without_noise_and_with_every_image_twice() -> None:
    batch = batch_of([1, 0, 0])
    _, target, _, _ = HybridPrepareBatch(NoiseSchedule(T), "supervised", teacher=said())(batch)
    assert not target.timesteps.any() and target.taught.rows.tolist() == [False, True, True]
    _, target, _, _ = HybridPrepareBatch(NoiseSchedule(T), "two_pass", teacher=said())(batch)
    assert target.taught.rows.tolist() == [False, False, False, False, True, True]
    assert not target.timesteps[target.taught.rows].any()


def test_without_images_to_teach_nothing_is_asked_and_a_batch_is_what_it_was() -> None:
    teacher, batch = said(), batch_of([1, 1])
    assert HybridPrepareBatch(NoiseSchedule(T), teacher=teacher)(batch)[1].taught is None
    assert teacher.network.seen == []  # type: ignore[comparison-overlap]
    assert HybridPrepareBatch(NoiseSchedule(T))(batch_of([1, 0]))[1].taught is None


def test_voxels_beyond_the_image_of_a_sparse_data_set_teach_nothing() -> None:
    batch = batch_of([1, 0])
    batch["label"][1, :, :2] = -1
    _, target, _, _ = HybridPrepareBatch(NoiseSchedule(T), teacher=said())(batch)
    assert not target.taught.certainty[0, 0, :2].any() and target.taught.certainty[0, 0, 2:, :3].min() > 0.99


def test_an_objective_that_learns_no_mask_is_refused() -> None:
    with pytest.raises(ConfigError, match="self_training: the objective diffusion learns no mask; add --objective hybrid"):
        HybridPrepareBatch(NoiseSchedule(T), "diffusion", teacher=said())


def problem(timesteps: list[int], weight: float = 0.5) -> tuple[Tensor, HybridTarget, Taught]:
    generator = torch.Generator().manual_seed(0)
    n = len(timesteps)
    prediction = torch.randn(n + 1, 1 + K, 4, 6, generator=generator).requires_grad_()
    taught = Taught(
        rows=torch.tensor([False, *[True] * n]),
        label=torch.randint(2, (n, 1, 4, 6), generator=generator),  # class 2 is in none
        certainty=torch.rand(n, 1, 4, 6, generator=generator),
        weight=weight,
    )
    target = HybridTarget(
        image=torch.zeros(n + 1, 1, 4, 6),
        label=torch.zeros(n + 1, 1, 4, 6, dtype=torch.int64),
        timesteps=torch.tensor([0, *timesteps]),
        has_label=~taught.rows,
        image_term=False,
        taught=taught,
    )
    return prediction, target, taught


@pytest.mark.parametrize("mask_loss", ["ce", "dice_ce", "mse"])
def test_the_term_is_what_its_formula_says(mask_loss: str) -> None:
    prediction, target, taught = problem([0, 9])
    loss = HybridLoss(NoiseSchedule(T), lambda_mask=0.3, lambda_clean=0.8, mask_loss=mask_loss)
    total = loss(prediction, target)
    logits, c = prediction[1:, 1:], taught.certainty[:, 0]
    y = F.one_hot(taught.label[:, 0], K).movedim(-1, 1).float()
    p = logits.softmax(1)
    error = (p - y).square().sum(1) if mask_loss == "mse" else -(y * logits.log_softmax(1)).sum(1)
    clean, noisy = (c * error).flatten(1).mean(1)
    if mask_loss == "dice_ce":
        both = [(c[0] * c[0] * p[0, k] * y[0, k]).sum() / (c[0] * (p[0, k] + y[0, k])).sum() for k in (0, 1)]
        clean = clean + sum(1 - 2 * value for value in both) / 2
    wanted = (0.3 * noisy + 0.8 * clean).detach()
    assert loss.terms.taught == pytest.approx(float(wanted), rel=1e-4)
    assert loss.terms.certainty == pytest.approx(float(taught.certainty.mean()))
    without = HybridTarget(**{**vars(target), "taught": None})
    assert float(total.detach()) == pytest.approx(float(loss(prediction, without).detach()) + 0.5 * float(wanted), rel=1e-5)


def test_what_the_teacher_is_not_sure_of_and_misses_moves_nothing() -> None:
    prediction, target, taught = problem([0])
    taught.certainty.zero_()
    HybridLoss(NoiseSchedule(T), mask_loss="ce")(prediction, target).backward()
    assert not prediction.grad[1].any() and prediction.grad[0].any()
