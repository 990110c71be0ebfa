"""Signals without labels, and the rule that keeps the original model unless they improve."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.few_shot.safety_stop import decide
from monai_hybrid.few_shot.signals import Look, Seen, agreement

CARD: dict[str, Any] = {
    "labels": [{"name": "background"}, {"name": "lumen"}, {"name": "wall"}],
    "training": {"objective": "supervised"},
    "reference": {"volumes": {"unit": "ml", "structures": {"lumen": {"min": 0.02, "max": 0.03, "cases": 10}}}},
}


class Bright(nn.Module):
    """Lumen where it is bright, wall in the first rows wherever they lie: the one follows a mirror, the other does not."""

    def __init__(self, wall: int = 0) -> None:
        super().__init__()
        self.unused, self.wall = nn.Parameter(torch.zeros(1)), wall

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.cat([-20 * x, 20 * x, torch.full_like(x, -50)], 1)
        logits[:, 2, : self.wall] = 99.0
        return logits


def look() -> Look:
    return Look(CARD, lambda x, network: network(x), [2.0, 2.0, 2.0], [8, 8, 4], NoiseSchedule(100))


def scan(bright: int = 3) -> Tensor:
    image = torch.full((1, 8, 8, 4), -1.0)
    image[:, 2 : 2 + bright, 4:6, 1:2] = 1.0
    return image


def test_a_model_that_follows_mirrors_agrees_with_itself_and_sizes_are_in_the_unit_of_the_card() -> None:
    network = Bright().train()
    (seen,) = look()(network, [scan()])
    assert network.training and seen.agreement == 1.0 and seen.denoising is None
    assert seen.volumes == {"lumen": 0.048, "wall": 0.0}, "six voxels of 8 cubic mm"
    assert seen.odd == 2, "48 cubic mm are above the usual 39 at most; the wall is absent"
    assert look()(network, [scan(2)])[0].odd == 1 and seen.entropy == pytest.approx(0, abs=1e-6)
    (walled,) = look()(Bright(wall=2), [scan(2)])
    assert walled.odd == 0 and walled.agreement == pytest.approx((0.5 + 1) / 2)


def test_masks_without_any_structure_do_not_agree() -> None:
    empty, some = torch.zeros(1, 4, 4, dtype=torch.long), torch.ones(1, 4, 4, dtype=torch.long)
    assert agreement(empty, empty, 2) == 0.0 and agreement(some, some, 2) == 1.0 and agreement(some, empty, 2) == 0.0
    (seen,) = look()(Bright(), [torch.full((1, 8, 8, 4), -1.0)])
    assert seen.agreement == 0.0 and seen.entropy is None


def test_an_image_head_and_masks_from_noise_are_looked_at_where_the_model_has_them() -> None:
    class Noisy(Bright):
        steps: list[int] = []  # noqa: RUF012

        def forward(self, x: Tensor, timesteps: Tensor | None = None, return_noise: bool = False) -> Tensor:
            if timesteps is not None:
                self.steps.append(int(timesteps[0]))
            logits = super().forward(x)
            return torch.cat([x, logits], 1) if return_noise else logits

    noise = {"num_timesteps": 100, "noise_schedule": "cosine", "prediction_type": "sample"}
    card = {**CARD, "training": {"objective": "hybrid", **noise}}
    (seen,) = Look(card, lambda x, n: n(x), [2.0] * 3, [8, 8, 4], NoiseSchedule(100))(Noisy(), [scan()])
    assert Noisy.steps[0] == 5 and seen.denoising is not None and math.isfinite(seen.denoising)


def seen(agreement: float, denoising: float | None = 1.0, odd: int = 0, entropy: float | None = 0.1) -> Seen:
    return Seen(agreement, denoising, entropy, odd, {})


@pytest.mark.parametrize(
    ("after", "alone", "reason"),
    [
        ([seen(0.9), seen(0.8)], False, ""),
        ([seen(0.9, 1.01), seen(0.8, 1.01)], False, ""),
        ([seen(0.9, None), seen(0.8, None)], False, ""),
        ([seen(0.9, 0.9), seen(0.8, 0.9)], True, ""),
        ([seen(0.9, 1.01), seen(0.8, 1.01)], True, "the scans are denoised no better (1 before, 1.01 after)"),
        ([seen(0.9, 1.1), seen(0.8)], False, "the scans are denoised no better (1 before, 1.05 after)"),
        (
            [seen(0.704), seen(0.704)],
            False,
            "agree with themselves no better, or by less than 0.005 (0.700 before, 0.704 after; better on 2 of 2",
        ),
        ([seen(0.9, odd=1), seen(0.8)], False, "more structures are absent or of an unusual size (0 before, 1 after)"),
    ],
)
def test_the_original_stays_unless_the_signals_improve(after: list[Seen], alone: bool, reason: str) -> None:
    verdict = decide([seen(0.7), seen(0.7)], after, alone)
    assert verdict.kept == ("original" if reason else "adapted")
    assert any(reason in said for said in verdict.reasons)
    assert verdict.plain()["agreement"] == [pytest.approx(0.7), pytest.approx((after[0].agreement + after[1].agreement) / 2)]


def test_a_gain_on_few_scans_is_none_and_certainty_alone_decides_nothing() -> None:
    before = [seen(0.7) for _ in range(4)]
    assert decide(before, [seen(0.95), seen(0.69), seen(0.69), seen(0.69)]).kept == "original"
    assert decide(before, [seen(0.7, entropy=0.01) for _ in range(4)]).kept == "original"
    assert decide(before, [seen(0.75, entropy=0.3) for _ in range(4)]).kept == "adapted"
