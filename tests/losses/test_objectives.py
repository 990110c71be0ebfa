"""The arms: the paper's objective and its controls differ in exactly what they are meant to differ in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from torch import nn

from monai_hybrid.bundle.sample import PairSampler
from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.errors import ConfigError, ModelFileError
from monai_hybrid.losses import OBJECTIVES, get_objective
from monai_hybrid.losses.objectives import learnt_objective

SETTINGS = {
    # name: image_term, mask_on_noisy, clean_fraction, two_pass
    "hybrid": (True, True, 0.5, False),
    "supervised": (False, False, 1.0, False),
    "diffusion": (True, False, 0.0, False),
    "noisy_supervised": (False, True, 0.5, False),
    "two_pass": (True, False, 0.5, True),
}


def test_every_arm_has_its_settings() -> None:
    assert list(OBJECTIVES) == list(SETTINGS)
    for name, (image_term, mask_on_noisy, clean_fraction, two_pass) in SETTINGS.items():
        o = get_objective(name)
        assert (o.name, o.image_term, o.mask_on_noisy, o.clean_fraction, o.two_pass) == (
            name, image_term, mask_on_noisy, clean_fraction, two_pass,
        )  # fmt: skip


def test_noisy_supervised_differs_from_hybrid_in_the_image_term_alone() -> None:
    hybrid, control = (asdict(get_objective(name)) for name in ("hybrid", "noisy_supervised"))
    assert {key for key in hybrid if hybrid[key] != control[key]} == {"name", "image_term"}


def test_an_unknown_arm_is_refused_with_the_names() -> None:
    with pytest.raises(
        ConfigError, match="objective: got 'hybird', expected one of hybrid, supervised, diffusion, noisy_supervised, two_pass"
    ):
        get_objective("hybird")
    assert get_objective("hybrid").name == "hybrid"


@pytest.mark.parametrize("name", ["hybrid", "noisy_supervised"])
@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_the_clean_share_of_the_mixing_arms_can_be_set(name: str, share: float) -> None:
    changed = get_objective(name, share)
    assert changed.clean_fraction == share
    assert asdict(changed) | {"clean_fraction": 0.5} == asdict(OBJECTIVES[name])
    assert OBJECTIVES[name].clean_fraction == 0.5


@pytest.mark.parametrize("name", ["supervised", "diffusion", "two_pass"])
def test_the_other_arms_keep_theirs(name: str) -> None:
    assert get_objective(name, 0.25) == OBJECTIVES[name]


@pytest.mark.parametrize("share", [-0.1, 1.01, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=f"clean_fraction: got {share}, expected a share between 0 and 1"):
        get_objective("hybrid", share)
    assert get_objective("hybrid", 0.99).clean_fraction == 0.99


@pytest.mark.parametrize(
    ("objective", "draws"), [("supervised", False), ("noisy_supervised", False), ("hybrid", True), (None, True)]
)
def test_a_model_without_denoising_draws_no_images(objective: str | None, draws: bool, tmp_path: Path) -> None:
    """It would draw noise, and call its masks of it agreeing."""
    card = {"training": {"objective": objective}, "channels": ["image"]}
    sampler = PairSampler(nn.Identity(), str(tmp_path / "m.pt"), card, NoiseSchedule(10), str(tmp_path / "pairs"))
    with pytest.raises(ModelFileError if draws else ConfigError, match="no such model file" if draws else "draws no images"):
        sampler.run(1, 2, "ode", 0, 1)
    assert not (tmp_path / "pairs").exists()


LABELLED, BARE = {"image": "a", "label": "b"}, {"image": "c"}


@pytest.mark.parametrize(
    ("objective", "share", "cases", "taught", "learnt"),
    [
        ("hybrid", 1, [LABELLED], False, "supervised"),
        ("noisy_supervised", 1.0, [LABELLED], False, "supervised"),
        ("hybrid", 1, [LABELLED, BARE], True, "supervised"),
        ("hybrid", 1, [LABELLED, BARE], False, "hybrid"),  # which is always noised
        ("hybrid", 0.99, [LABELLED], False, "hybrid"),
        ("hybrid", None, [LABELLED], False, "hybrid"),
        ("diffusion", 1, [LABELLED], False, "diffusion"),  # its inputs are never clean
        ("two_pass", 1, [LABELLED], False, "two_pass"),  # nor does it take the share
        ("supervised", None, [LABELLED], False, "supervised"),
    ],
)
def test_a_card_says_what_was_learnt(
    objective: str,
    share: float | None,
    cases: list[dict[str, str]],
    taught: bool,
    learnt: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert learnt_objective(objective, share, cases, taught) == learnt
    assert ("no image is noised" in caplog.text) == (learnt != objective)
