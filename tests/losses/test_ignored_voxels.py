"""Voxels that nobody annotated: the loss is that of the rest, and they move no weight."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.losses.hybrid import MASK_LOSSES, HybridLoss, HybridTarget

K, SIZE, KEPT = 3, (6, 8), 5  # columns kept of 8


def problem(seed: int = 0) -> tuple[Tensor, HybridTarget]:
    """A prediction of two noisy and two clean samples, whose last columns nobody annotated."""
    generator = torch.Generator().manual_seed(seed)
    annotated = torch.zeros(4, 1, *SIZE, dtype=torch.bool)
    annotated[..., :KEPT] = True
    target = HybridTarget(
        image=torch.randn(4, 1, *SIZE, generator=generator),
        label=torch.randint(K, (4, 1, *SIZE), generator=generator),
        timesteps=torch.tensor([0, 3, 0, 7]),
        has_label=torch.ones(4, dtype=torch.bool),
        image_term=False,
        annotated=annotated,
    )
    return torch.randn(4, 1 + K, *SIZE, generator=generator).requires_grad_(), target


def cut(target: HybridTarget) -> HybridTarget:
    return HybridTarget(
        target.image[..., :KEPT], target.label[..., :KEPT], target.timesteps, target.has_label, image_term=False
    )


@pytest.mark.parametrize("mask_loss", MASK_LOSSES)
def test_the_loss_is_that_of_the_annotated_part(mask_loss: str) -> None:
    prediction, target = problem()
    loss = HybridLoss(NoiseSchedule(10), mask_loss=mask_loss)
    part = prediction.detach()[..., :KEPT].requires_grad_()
    total, expected = loss(prediction, target), loss(part, cut(target))
    torch.testing.assert_close(total, expected)
    total.backward()
    expected.backward()
    assert prediction.grad is not None and part.grad is not None
    torch.testing.assert_close(prediction.grad[..., :KEPT], part.grad)
    assert (prediction.grad[:, 1:, :, KEPT:] == 0).all(), "no gradient where nobody annotated"


@pytest.mark.parametrize("mask_loss", MASK_LOSSES)
def test_what_stands_in_the_ignored_voxels_changes_nothing(mask_loss: str) -> None:
    prediction, target = problem()
    loss = HybridLoss(NoiseSchedule(10), mask_loss=mask_loss)
    other = prediction.detach().clone()
    other[:, 1:, :, KEPT:] = torch.inf
    target.label[..., KEPT:] = 0
    assert torch.equal(loss(prediction, target), loss(torch.nan_to_num(other, posinf=1e4), target))


@pytest.mark.parametrize("mask_loss", MASK_LOSSES)
def test_all_annotated_is_as_if_nothing_was_said(mask_loss: str) -> None:
    prediction, target = problem()
    loss = HybridLoss(NoiseSchedule(10), mask_loss=mask_loss)
    target.annotated = torch.ones_like(target.label, dtype=torch.bool)
    said = loss(prediction, target)
    target.annotated = None
    torch.testing.assert_close(said, loss(prediction, target))


def test_a_sample_without_an_annotated_voxel_gives_a_number() -> None:
    prediction, target = problem()
    assert target.annotated is not None
    target.annotated[0] = False
    assert torch.isfinite(HybridLoss(NoiseSchedule(10))(prediction, target))
