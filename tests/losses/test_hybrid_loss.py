"""The hybrid loss: its terms against formulas written out here, and its arms as the special cases they should be."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks.nets import DiffusionModelUNet
from torch import Tensor

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.engines import HybridPrepareBatch
from monai_hybrid.losses.hybrid import MASK_LOSSES, TIME_WEIGHTS, HybridLoss, HybridTarget
from monai_hybrid.losses.objectives import OBJECTIVES
from monai_hybrid.networks import HybridDiffusionUNet

SMALL: dict[str, Any] = {"channels": (8, 16), "num_res_blocks": 1, "norm_num_groups": 8, "num_head_channels": 8}
K, SIZE = 3, (4, 6)


def schedule_of(*alpha_bar: float) -> NoiseSchedule:
    """A forward process with the given alpha_bar for t = 1, 2, ..."""
    schedule = NoiseSchedule(len(alpha_bar))
    schedule.alpha_bar = torch.tensor([1.0, *alpha_bar], dtype=torch.float64)
    return schedule


def problem(
    timesteps: list[int], labelled: list[bool] | None = None, seed: int = 0, **flags: bool
) -> tuple[Tensor, HybridTarget]:
    """A random prediction (B, 1 + K, ...) that wants a gradient, and a random target."""
    generator = torch.Generator().manual_seed(seed)
    batch = len(timesteps)
    prediction = torch.randn(batch, 1 + K, *SIZE, generator=generator).requires_grad_()
    target = HybridTarget(
        image=torch.randn(batch, 1, *SIZE, generator=generator),
        label=torch.randint(K, (batch, 1, *SIZE), generator=generator),
        timesteps=torch.tensor(timesteps),
        has_label=torch.tensor(labelled or [True] * batch),
        **flags,
    )
    return prediction, target


def arm(name: str) -> dict[str, bool]:
    return {"image_term": OBJECTIVES[name].image_term, "mask_on_noisy": OBJECTIVES[name].mask_on_noisy}


def soft_dice(logits: Tensor, label: Tensor) -> Tensor:
    """1 - Dice of the softmax against the one-hot mask, mean over samples and all K classes (Milletari et al., 2016)."""
    p = logits.softmax(1).flatten(2)
    y = F.one_hot(label[:, 0], K).movedim(-1, 1).flatten(2)
    return (1 - (2 * (p * y).sum(2) + 1e-5) / (p.sum(2) + y.sum(2) + 1e-5)).mean()


def test_the_three_terms_are_the_formula_of_the_docstring() -> None:
    prediction, target = problem([0, 3, 0, 7])
    loss = HybridLoss(NoiseSchedule(10), lambda_mask=0.3, lambda_clean=0.7)
    noisy, clean = torch.tensor([1, 3]), torch.tensor([0, 2])
    image, logits, y = prediction[:, :1], prediction[:, 1:], target.label
    expected_image = F.mse_loss(image[noisy], target.image[noisy])
    expected_noisy = F.cross_entropy(logits[noisy], y[noisy, 0])
    expected_clean = F.cross_entropy(logits[clean], y[clean, 0]) + soft_dice(logits[clean], y[clean])
    total = loss(prediction, target)
    assert torch.isclose(total, expected_image + 0.3 * expected_noisy + 0.7 * expected_clean, atol=1e-5)
    terms = loss.terms
    assert terms is not None and terms.image is not None and not terms.image.requires_grad
    assert torch.isclose(terms.image, expected_image) and torch.isclose(terms.mask_noisy, expected_noisy)
    assert torch.isclose(terms.mask_clean, expected_clean, atol=1e-5)
    assert terms.timesteps.tolist() == [0, 3, 0, 7]
    assert torch.allclose(terms.mask_by_sample, F.cross_entropy(logits, y[:, 0], reduction="none").mean((1, 2)))


def test_without_masks_and_clean_inputs_the_body_learns_what_a_plain_ddpm_learns() -> None:
    """lambda_mask = 0, no sample at t = 0: the gradients are those of the stock network under the mean squared error.

    In float64: a bias before a GroupNorm has the gradient 0, which float32 computes as rounding noise of the machine's own.
    """
    torch.manual_seed(0)
    stock = DiffusionModelUNet(2, 1, 1, attention_levels=(False, False), use_flash_attention=True, **SMALL).double()
    with torch.no_grad():
        stock.out[2].conv.weight.normal_(std=0.1)
    network = HybridDiffusionUNet(2, 1, K, **SMALL).double()
    network.load_state_dict(stock.state_dict(), strict=False)
    prepare = HybridPrepareBatch(NoiseSchedule(100), "hybrid", clean_fraction=0.0)
    batch = {"image": torch.randn(4, 1, 8, 8), "label": torch.randint(K, (4, 1, 8, 8)), "has_label": torch.ones(4)}
    x_t, target, _, arguments = prepare(batch)
    x_t = x_t.double()
    HybridLoss(prepare.schedule, lambda_mask=0.0)(network(x_t, **arguments), target).backward()
    F.mse_loss(stock(x_t, target.timesteps).float(), target.image).backward()
    own = dict(network.named_parameters())
    for name, weight in stock.named_parameters():
        assert torch.allclose(own[name].grad, weight.grad, rtol=1e-9, atol=1e-12), name
    assert all((own[name].grad == 0).all() for name in own if name.startswith("out.mask"))


def test_the_supervised_arm_is_cross_entropy_and_dice_at_time_0() -> None:
    prediction, target = problem([0, 0, 0], **arm("supervised"))
    total = HybridLoss(NoiseSchedule(10), lambda_mask=9.0)(prediction, target)
    logits = prediction.detach()[:, 1:].requires_grad_()
    plain = F.cross_entropy(logits, target.label[:, 0]) + soft_dice(logits, target.label)
    total.backward()
    plain.backward()
    assert torch.isclose(total, plain, atol=1e-5)
    assert torch.allclose(prediction.grad[:, 1:], logits.grad, atol=1e-6)
    assert (prediction.grad[:, :1] == 0).all()


def test_the_noisy_supervised_arm_never_teaches_the_image_rows() -> None:
    torch.manual_seed(0)
    for name, silent in (("noisy_supervised", True), ("hybrid", False)):
        network = HybridDiffusionUNet(2, 1, K, **SMALL)
        prepare = HybridPrepareBatch(NoiseSchedule(100), name)
        batch = {"image": torch.randn(4, 1, 8, 8), "label": torch.randint(K, (4, 1, 8, 8)), "has_label": torch.ones(4)}
        x_t, target, _, arguments = prepare(batch)
        loss = HybridLoss(prepare.schedule)
        loss(network(x_t, **arguments), target).backward()
        assert bool((network.out._modules["2"].conv.weight.grad == 0).all()) == silent
        assert network.out.mask.conv.weight.grad.abs().sum() > 0
        assert loss.terms is not None and (loss.terms.image is None) == silent and loss.terms.mask_noisy is not None


@pytest.mark.parametrize("mask_loss", MASK_LOSSES)
def test_unlabelled_samples_teach_the_image_and_never_the_mask(mask_loss: str) -> None:
    labelled = [True, False, True, False]
    prediction, target = problem([0, 4, 5, 6], labelled)
    loss = HybridLoss(NoiseSchedule(10), mask_loss=mask_loss)
    total = loss(prediction, target)
    total.backward()
    gradient = prediction.grad
    assert (gradient[[1, 3], 1:] == 0).all() and (gradient[[0, 2], 1:] != 0).any((1, 2, 3)).all()
    assert (gradient[[1, 2, 3], :1] != 0).any((1, 2, 3)).all() and (gradient[0, :1] == 0).all()
    assert loss.terms is not None and loss.terms.timesteps.tolist() == [0, 5] and len(loss.terms.mask_by_sample) == 2

    target.label[[1, 3]] = (target.label[[1, 3]] + 1) % K
    assert torch.equal(loss(prediction, target), total)
    target.label[[0]] = (target.label[[0]] + 1) % K
    assert not torch.equal(loss(prediction, target), total)


def test_unlabelled_and_clean_teaches_nothing() -> None:
    prediction, target = problem([0, 0], [False, False])
    loss = HybridLoss(NoiseSchedule(10))
    total = loss(prediction, target)
    assert total.item() == 0
    total.backward()
    assert (prediction.grad == 0).all()
    terms = loss.terms
    assert terms is not None and (terms.image, terms.mask_noisy, terms.mask_clean) == (None, None, None)
    assert terms.timesteps.shape == terms.mask_by_sample.shape == (0,)


def test_a_nan_stays_out_of_the_terms_it_does_not_belong_to_but_never_goes_unseen() -> None:
    """Row 1 is unlabelled: the mask terms leave it out. The loss is not finite all the same: its gradient would not be."""
    prediction, target = problem([0, 4, 5], [True, False, True])
    with torch.no_grad():
        prediction[1] = math.nan
    loss = HybridLoss(NoiseSchedule(10))
    assert not loss(prediction, target).isfinite()
    terms = loss.terms
    assert terms is not None and terms.image is not None and terms.image.isnan()
    assert terms.mask_noisy is not None and terms.mask_noisy.isfinite()
    assert terms.mask_clean is not None and terms.mask_clean.isfinite() and terms.mask_by_sample.isfinite().all()

    twin, target = problem([0, 4, 5], [True, False, True])
    assert loss(twin, target).isfinite()


def test_the_squared_error_on_a_worked_example() -> None:
    """Two pixels, two classes. Probabilities (1/2, 1/2) and (3/4, 1/4), both of class 0: errors 1/2 and 1/8."""
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]]).view(1, 2, 1, 2)
    prediction = torch.cat([torch.zeros(1, 1, 1, 2), logits], 1)
    label = torch.zeros(1, 1, 1, 2, dtype=torch.int64)
    for t, weight in ((0, 2.0), (1, 0.5)):
        target = HybridTarget(torch.zeros(1, 1, 1, 2), label, torch.tensor([t]), torch.tensor([True]))
        loss = HybridLoss(schedule_of(0.5), lambda_mask=0.5, lambda_clean=2.0, mask_loss="mse")
        assert loss(prediction, target).item() == pytest.approx(weight * (1 / 2 + 1 / 8) / 2)


def test_dice_counts_on_clean_inputs_only_and_only_when_asked() -> None:
    prediction, target = problem([0, 5])
    clean, noisy = {}, {}
    for mask_loss in ("ce", "dice_ce"):
        loss = HybridLoss(NoiseSchedule(10), mask_loss=mask_loss)
        loss(prediction, target)
        assert loss.terms is not None
        clean[mask_loss], noisy[mask_loss] = loss.terms.mask_clean, loss.terms.mask_noisy
    assert torch.equal(noisy["ce"], noisy["dice_ce"])
    assert torch.isclose(clean["dice_ce"] - clean["ce"], soft_dice(prediction[:1, 1:], target.label[:1]), atol=1e-5)


@pytest.mark.parametrize(
    ("prediction_type", "expected"),
    # snr = 9, 1, 1/9; min(snr, 5) over snr, over snr + 1, over 1 (Hang et al. 2023, section 3.4)
    [("epsilon", [5 / 9, 1, 1]), ("v", [5 / 10, 1 / 2, 1 / 10]), ("sample", [5, 1, 1 / 9])],
)
def test_min_snr_weights(prediction_type: str, expected: list[float]) -> None:
    schedule = schedule_of(0.9, 0.5, 0.1)
    loss = HybridLoss(schedule, prediction_type=prediction_type, image_weight="min_snr", lambda_mask=0)
    assert loss.time_weight("min_snr", torch.tensor([1, 2, 3]), torch.zeros(1)).tolist() == pytest.approx(expected)
    prediction, target = problem([1, 2, 3])
    errors = (prediction[:, :1] - target.image).square().mean((1, 2, 3))
    assert torch.isclose(loss(prediction, target), (torch.tensor(expected) * errors).mean())
    assert loss.time_weight("min_snr", torch.tensor([0]), torch.zeros(1)).isfinite().all()


def test_alpha_bar_weights() -> None:
    schedule = schedule_of(0.9, 0.5, 0.1)
    prediction, target = problem([1, 2, 3])
    weights = torch.tensor([0.9, 0.5, 0.1])
    errors = (prediction[:, :1] - target.image).square().mean((1, 2, 3))
    entropies = F.cross_entropy(prediction[:, 1:], target.label[:, 0], reduction="none").mean((1, 2))
    loss = HybridLoss(schedule, lambda_mask=1.0, image_weight="alpha_bar", mask_weight="alpha_bar")
    assert torch.isclose(loss(prediction, target), (weights * (errors + entropies)).mean())
    plain = HybridLoss(schedule, lambda_mask=1.0)
    assert torch.isclose(plain(prediction, target), (errors + entropies).mean())
    assert loss.terms is not None and torch.allclose(loss.terms.mask_by_sample, entropies)  # the curve over t is unweighted


@settings(max_examples=30)
@given(order=st.permutations(range(5)), seed=st.integers(0, 1000))
def test_the_order_of_the_batch_does_not_matter(order: list[int], seed: int) -> None:
    prediction, target = problem([0, 2, 9, 0, 4], [True, True, False, True, True], seed)
    turned = HybridTarget(*(getattr(target, name)[order] for name in ("image", "label", "timesteps", "has_label")))
    loss = HybridLoss(NoiseSchedule(10), image_weight="min_snr", mask_weight="alpha_bar")
    assert torch.isclose(loss(prediction, target), loss(prediction[order], turned), rtol=1e-5)


@settings(max_examples=30)
@given(lambda_mask=st.floats(0, 10), lambda_clean=st.floats(0, 10))
def test_the_lambdas_weigh_the_recorded_terms(lambda_mask: float, lambda_clean: float) -> None:
    prediction, target = problem([0, 2, 9])
    loss = HybridLoss(NoiseSchedule(10), lambda_mask=lambda_mask, lambda_clean=lambda_clean)
    total, terms = loss(prediction, target), loss.terms
    assert terms is not None and terms.image is not None and terms.mask_noisy is not None and terms.mask_clean is not None
    assert torch.isclose(total, terms.image + lambda_mask * terms.mask_noisy + lambda_clean * terms.mask_clean, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_predictions_give_a_float32_loss(dtype: torch.dtype) -> None:
    prediction, target = problem([0, 3, 8])
    low = prediction.detach().to(dtype).requires_grad_()
    loss = HybridLoss(NoiseSchedule(10))
    with torch.autocast("cpu", torch.bfloat16):
        total = loss(low, target)
    assert total.dtype == torch.float32
    assert torch.equal(total, loss(low.float(), target))
    total.backward()
    assert low.grad.dtype == dtype and low.grad.isfinite().all()


def test_several_image_channels() -> None:
    prediction = torch.randn(2, 2 + K, *SIZE)
    target = HybridTarget(
        torch.randn(2, 2, *SIZE), torch.randint(K, (2, 1, *SIZE)), torch.tensor([1, 1]), torch.tensor([True] * 2)
    )
    loss = HybridLoss(NoiseSchedule(10), num_image_channels=2, lambda_mask=0)
    assert torch.isclose(loss(prediction, target), F.mse_loss(prediction[:, :2], target.image))


@pytest.mark.parametrize(
    ("bad", "message", "good"),
    [
        (
            {"mask_loss": "dice"},
            "mask_loss must be one of dice_ce, ce, mse, got 'dice'",
            [{"mask_loss": m} for m in MASK_LOSSES],
        ),
        (
            {"image_weight": "snr"},
            "weights over t must be among uniform, min_snr, alpha_bar, got 'snr', 'uniform'",
            [{"image_weight": w} for w in TIME_WEIGHTS],
        ),
        ({"mask_weight": "snr"}, "got 'uniform', 'snr'", [{"mask_weight": w} for w in TIME_WEIGHTS]),
        (
            {"prediction_type": "noise"},
            "prediction_type must be one of epsilon, v, sample, got 'noise'",
            [{"prediction_type": "v"}],
        ),
        ({"lambda_mask": -0.1}, "must not be negative, got -0.1, 1.0", [{"lambda_mask": 0.0}]),
        ({"lambda_clean": -1}, "must not be negative, got 0.3, -1", [{"lambda_clean": 0}]),
    ],
)
def test_wrong_settings_are_refused_and_right_ones_accepted(
    bad: dict[str, Any], message: str, good: list[dict[str, Any]]
) -> None:
    with pytest.raises(ValueError, match=message):
        HybridLoss(NoiseSchedule(10), **bad)
    for wanted in good:
        prediction, target = problem([0, 1, 10])
        assert HybridLoss(NoiseSchedule(10), **wanted)(prediction, target).isfinite()
