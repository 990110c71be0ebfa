"""The paper's objective and its control arms, as settings of one trainer.

    arm               network sees                     image term   mask term
    hybrid            half x_t, half x_0 at t = 0      on x_t       on both
    supervised        x_0 at t = 0                     -            on
    diffusion         x_t                              on           -
    noisy_supervised  half x_t, half x_0 at t = 0      -            on both
    two_pass          every image twice: x_t and x_0   on x_t       on x_0

The halves are of the labelled samples; an image without a label is always x_t. `noisy_supervised` differs from `hybrid` in the
image term alone: without it nobody can tell the gain of denoising from that of noise as augmentation. `two_pass` is the joint
diffusion model of Deja et al. (ECML 2023): no mask is read from noise.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from monai_hybrid.errors import ConfigError

logger = logging.getLogger("monai_hybrid.training")


@dataclass(frozen=True)
class Objective:
    """What one training step asks of the network.

    Attributes:
        name: one of `OBJECTIVES`.
        image_term: predict the image from x_t.
        mask_on_noisy: predict the mask from x_t, t > 0.
        clean_fraction: share of the labelled samples given clean at t = 0 (mask term only).
        two_pass: give every image both ways; `clean_fraction` is then not used.
    """

    name: str
    image_term: bool
    mask_on_noisy: bool
    clean_fraction: float
    two_pass: bool = False

    @property
    def learns_masks(self) -> bool:
        """Whether there is a mask term, on clean inputs or on noisy ones."""
        return self.mask_on_noisy or self.clean_fraction > 0


OBJECTIVES = {
    "hybrid": Objective("hybrid", image_term=True, mask_on_noisy=True, clean_fraction=0.5),
    "supervised": Objective("supervised", image_term=False, mask_on_noisy=False, clean_fraction=1.0),
    "diffusion": Objective("diffusion", image_term=True, mask_on_noisy=False, clean_fraction=0.0),
    "noisy_supervised": Objective("noisy_supervised", image_term=False, mask_on_noisy=True, clean_fraction=0.5),
    "two_pass": Objective("two_pass", image_term=True, mask_on_noisy=False, clean_fraction=0.5, two_pass=True),
}


def denoises(card: Mapping[str, Any]) -> bool:
    """Whether the model of this card was trained with an image term."""
    own = OBJECTIVES.get(str((card.get("training") or {}).get("objective")))
    return own is not None and own.image_term


def learnt_objective(
    objective: str, clean_fraction: float | None, cases: Iterable[Mapping[str, Any]], self_training: bool = False
) -> str:
    """The arm that a model's card names: of one that mixes clean and noisy inputs, without any noisy one, "supervised".

    Args:
        objective: name of the arm.
        clean_fraction: as typed; None: the arm's own.
        cases: of the training; those without "label" are always noised.
        self_training: a teacher gives them masks, so they are clean as often as those with a label.

    Raises:
        ConfigError: see `get_objective`.
    """
    own = get_objective(objective, clean_fraction)
    if not own.mask_on_noisy or own.clean_fraction < 1:
        return objective
    if own.image_term and not self_training and any("label" not in case for case in cases):
        return objective
    logger.warning(
        "clean_fraction 1: no image is noised, so that the objective %s is supervised; the model's card says so", objective
    )
    return "supervised"


def refuse_to_draw(card: Mapping[str, Any], model: str) -> None:
    """Refuse to draw images with a model whose image channels were not trained: it would draw noise.

    A card that names no objective is let through.

    Raises:
        ConfigError: with what to type.
    """
    own = OBJECTIVES.get(str((card.get("training") or {}).get("objective")))
    if own is not None and not own.image_term:
        raise ConfigError(
            f"{model}: it was trained by the objective {own.name}, without denoising, so it draws no images. Draw them from a "
            "model that was trained with it: monai-hybrid sample --model SOURCE --output pairs"
        )


def get_objective(name: str, clean_fraction: float | None = None) -> Objective:
    """Look an arm up; `clean_fraction` replaces the share of clean inputs of the arms that mix both.

    Raises:
        ConfigError: unknown name, or a share outside [0, 1].
    """
    if name not in OBJECTIVES:
        raise ConfigError(f"objective: got {name!r}, expected one of {', '.join(OBJECTIVES)}")
    objective = OBJECTIVES[name]
    mixes = objective.mask_on_noisy
    if clean_fraction is None or not mixes:
        return objective
    if not 0 <= clean_fraction <= 1:
        raise ConfigError(f"clean_fraction: got {clean_fraction}, expected a share between 0 and 1")
    return replace(objective, clean_fraction=float(clean_fraction))
