"""Models that were distilled: they segment, and that is all they learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.home import at_home
from monai_hybrid.errors import ConfigError
from monai_hybrid.losses.objectives import get_objective
from monai_hybrid.setting_checks import model_in
from monai_hybrid.weights import read_card

DISTILLED = "distilled"  # the objective on such a model's card


def is_distilled(card: Mapping[str, Any] | None) -> bool:
    """Whether a model's card says so."""
    training = (card or {}).get("training")
    return isinstance(training, Mapping) and training.get("objective") == DISTILLED


def refuse_distilled(card: Mapping[str, Any] | None, model: str, asked: str) -> None:
    """Refuse what needs a network that saw noise.

    Raises:
        ConfigError: the model was distilled; with the model to take in its place.
    """
    if card is None or not is_distilled(card):
        return
    teacher = (card["training"].get("distilled_from") or {}).get("model")
    instead = "give the model that it was distilled from" + (f", {teacher}" if teacher else "")
    raise ConfigError(f"{asked}: {model} was distilled, and never saw noise or learnt to denoise; {instead}")


def refuse_to_denoise(pretrained: str | None, objective: str) -> None:
    """Refuse a training that denoises and starts from a distilled model.

    Args:
        pretrained: a model file, the folder of a run, a name, or a word such as "scratch"; None for none.
        objective: of the training.

    Raises:
        ConfigError: as `refuse_distilled`; an unknown objective.
    """
    terms = get_objective(objective)
    if pretrained and (terms.image_term or terms.mask_on_noisy):
        model = str(model_in(at_home(pretrained)) or pretrained)
        refuse_distilled(read_card(model), model, f"--objective {objective}")
