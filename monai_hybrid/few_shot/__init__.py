"""Adapting with a few labelled cases, or with none: where it starts, which cases and weights it uses, and when it ends."""

from monai_hybrid.few_shot.one_image import OneImage
from monai_hybrid.few_shot.replay import appearance_steps, replayed_cases
from monai_hybrid.few_shot.safety_stop import SafetyStop
from monai_hybrid.few_shot.scans_alone import hold_out, objective_alone, scans_as_data
from monai_hybrid.few_shot.shots import draw_shots, without_labels
from monai_hybrid.few_shot.spacing import tell_spacing
from monai_hybrid.few_shot.starting_point import StartingPoint, starting_point
from monai_hybrid.few_shot.stopping import check_stopping, choose_epochs, updates_for
from monai_hybrid.few_shot.tuning import last_rate, make_trainable, parameter_groups, trained_weights
from monai_hybrid.few_shot.unlabelled import unlabelled_cases

__all__ = [
    "OneImage",
    "SafetyStop",
    "StartingPoint",
    "appearance_steps",
    "check_stopping",
    "choose_epochs",
    "draw_shots",
    "hold_out",
    "last_rate",
    "make_trainable",
    "objective_alone",
    "parameter_groups",
    "replayed_cases",
    "scans_as_data",
    "starting_point",
    "tell_spacing",
    "trained_weights",
    "unlabelled_cases",
    "updates_for",
    "without_labels",
]
