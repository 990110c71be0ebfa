"""Updates on one image: weights that change and come back, in all forms of images, and kept only where the stop says so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from prediction_runs import model_card
from torch import Tensor

from monai_hybrid.errors import ConfigError
from monai_hybrid.few_shot.one_image import OneImage
from monai_hybrid.few_shot.safety_stop import Verdict
from monai_hybrid.networks import HybridDiffusionUNet

FORMS = {"volume": (1, 20, 18, 9), "grey picture": (1, 24, 20), "colour picture": (3, 24, 20), "two channels": (2, 12, 10, 16)}


def model(shape: tuple[int, ...], objective: str = "hybrid") -> tuple[dict[str, Any], HybridDiffusionUNet]:
    """A card for images of this shape, and a network with random weights."""
    card = model_card(len(shape) - 1, 2.0, 8, objective=objective)
    card["network"]["in_channels"] = shape[0]
    card["channels"] = [f"c{i}" for i in range(shape[0])]
    torch.manual_seed(0)
    network = HybridDiffusionUNet(**card["network"]).eval()
    for parameter in network.parameters():
        if parameter.ndim > 1:  # some start at zero
            torch.nn.init.normal_(parameter, std=0.1)
    return card, network


def adapting(card: dict[str, Any], kept: str | None = None, updates: int = 2, **other: Any) -> OneImage:
    """`kept`: in the place of what the safety stop says."""
    judge = None if kept is None else lambda *seen, **told: Verdict(kept, ["by the test"], {})
    return OneImage(card, [8] * card["spatial_dims"], [2.0] * card["spatial_dims"], updates, judge=judge, **other)


def image_of(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """In [-1, 1], and a mask with a structure away from the centre."""
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
    mask = torch.zeros(shape[1:], dtype=torch.uint8)
    mask[-4:-1, -4:-1] = 1
    return image, mask


@pytest.mark.parametrize("shape", FORMS.values(), ids=FORMS)
def test_weights_change_alike_twice_and_come_back_bit_for_bit(shape: tuple[int, ...]) -> None:
    card, network = model(shape)
    network.out.requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    inside = []
    with torch.no_grad():
        for _ in range(2):
            with adapting(card, "adapted")(*image_of(shape), network) as verdict:
                assert verdict.kept == "adapted"
                inside.append({name: value.clone() for name, value in network.state_dict().items()})
            assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    changed = [name for name, value in inside[0].items() if not torch.equal(value, before[name])]
    assert changed and all("norm" in name or name.startswith("out.0") for name in changed), changed
    assert all(torch.equal(inside[0][name], inside[1][name]) for name in before), "whatever came before, the same weights"
    assert all(p.grad is None for p in network.parameters())
    assert {p.requires_grad for p in network.out.parameters()} == {False}
    assert {p.requires_grad for p in network.conv_in.parameters()} == {True}


def test_the_stop_decides_and_a_model_that_gains_nothing_stays() -> None:
    card, network = model(FORMS["grey picture"])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with adapting(card)(*image_of(FORMS["grey picture"]), network) as verdict:
        assert verdict.kept == "original" and "the masks agree with themselves no better" in verdict.reasons[0]
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert set(verdict.numbers) >= {"agreement", "denoising_error"}


def test_updates_denoise_the_image_better() -> None:
    card, network = model(FORMS["grey picture"])
    image, mask = image_of(FORMS["grey picture"])
    image = image * 0.1 + torch.linspace(-0.9, 0.9, image.shape[1])[None, :, None]
    seen = []
    adapt = adapting(card, updates=20, learning_rate=0.01)
    adapt.judge = lambda before, after, **told: (
        seen.append((before[0].denoising, after[0].denoising)) or Verdict("original", [], {})
    )
    with adapt(image, mask, network):
        pass
    assert seen[0][1] < 0.9 * seen[0][0]


def test_an_image_smaller_than_a_window_is_judged_as_a_prediction_fills_it_up() -> None:
    card, _ = model(FORMS["volume"])
    seen = []
    adapting(card).look.segment(torch.full((1, 1, 5, 20, 3), -1.0), lambda part: seen.append(part) or part)
    assert seen and all(bool((part == -1.0).all()) for part in seen), "no grey beyond the edge"


def test_a_failure_inside_leaves_the_own_weights() -> None:
    card, network = model(FORMS["grey picture"])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(MemoryError), adapting(card, "adapted")(*image_of(FORMS["grey picture"]), network):
        raise MemoryError
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("rate", "factor", "said"),
    [
        (1e-3, 0.0, "of one grey"),
        (1e-3, float("nan"), "holds NaN or Inf"),
        (1e-3, float("inf"), "holds NaN or Inf"),
        (float("inf"), 1.0, "not finite"),
    ],
)
def test_what_cannot_be_learnt_from_keeps_the_original(rate: float, factor: float, said: str) -> None:
    card, network = model(FORMS["volume"])
    image, mask = image_of(FORMS["volume"])
    with adapting(card, "adapted", learning_rate=rate)(image * factor, mask, network) as verdict:
        assert verdict.kept == "original" and said in verdict.reasons[0]
        assert all(bool(p.isfinite().all()) for p in network.parameters())


@pytest.mark.parametrize("objective", ["supervised", "noisy_supervised", "distilled"])
def test_a_model_that_never_denoised_is_refused_and_one_that_did_is_not(objective: str) -> None:
    card, _ = model(FORMS["volume"], objective)
    with pytest.raises(
        ConfigError, match="without the denoising term, so an image alone teaches it nothing; leave --test-time"
    ):
        adapting(card)
    assert adapting(model(FORMS["volume"], "diffusion")[0]).updates == 2
