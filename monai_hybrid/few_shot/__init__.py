"""Adapting with a few labelled cases: where it starts, which cases and weights it uses, and when it ends."""

from monai_hybrid.few_shot.replay import appearance_steps, replayed_cases
from monai_hybrid.few_shot.shots import draw_shots, without_labels
from monai_hybrid.few_shot.starting_point import StartingPoint, starting_point
from monai_hybrid.few_shot.stopping import check_stopping, choose_epochs, updates_for
from monai_hybrid.few_shot.tuning import make_trainable, parameter_groups, trained_weights
from monai_hybrid.few_shot.unlabelled import unlabelled_cases

__all__ = [
    "StartingPoint",
    "appearance_steps",
    "check_stopping",
    "choose_epochs",
    "draw_shots",
    "make_trainable",
    "parameter_groups",
    "replayed_cases",
    "starting_point",
    "trained_weights",
    "unlabelled_cases",
    "updates_for",
    "without_labels",
]
