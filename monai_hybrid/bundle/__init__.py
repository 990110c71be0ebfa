"""What the bundle configurations call: preparing data, finding models, refusing mistyped settings."""

from monai_hybrid.bundle.cases import cases_to_predict
from monai_hybrid.bundle.data import PreparedData, prepare_data
from monai_hybrid.bundle.device_defaults import compile_network, loader_processes, mixed_precision_pays, validation_network
from monai_hybrid.bundle.labels import values_by_name
from monai_hybrid.bundle.model import find_card
from monai_hybrid.bundle.reference import CardReference
from monai_hybrid.bundle.run_folder import claim_run, run_settings
from monai_hybrid.bundle.sample import PairSampler
from monai_hybrid.bundle.setting_values import check_patch
from monai_hybrid.bundle.shift import describe_shift
from monai_hybrid.bundle.shots import draw_shots, mixed_sampler, pretraining_sampler, without_labels
from monai_hybrid.bundle.source_domain import Forgetting
from monai_hybrid.bundle.start import start
from monai_hybrid.bundle.starting_point import StartingPoint, starting_point
from monai_hybrid.bundle.stopping import check_stopping, choose_epochs, updates_for
from monai_hybrid.bundle.unlabelled import unlabelled_cases
from monai_hybrid.evaluation.sharing import own_share
from monai_hybrid.evaluation.tolerance import choose_tolerance
from monai_hybrid.processes import join_processes, leave_processes
from monai_hybrid.results_folder import data_folder, results_folder
from monai_hybrid.transforms.contrast import contrast_kind

__all__ = [
    "CardReference",
    "Forgetting",
    "PairSampler",
    "PreparedData",
    "StartingPoint",
    "cases_to_predict",
    "check_patch",
    "check_stopping",
    "choose_epochs",
    "choose_tolerance",
    "claim_run",
    "compile_network",
    "contrast_kind",
    "data_folder",
    "describe_shift",
    "draw_shots",
    "find_card",
    "join_processes",
    "leave_processes",
    "loader_processes",
    "mixed_precision_pays",
    "mixed_sampler",
    "own_share",
    "prepare_data",
    "pretraining_sampler",
    "results_folder",
    "run_settings",
    "start",
    "starting_point",
    "unlabelled_cases",
    "updates_for",
    "validation_network",
    "values_by_name",
    "without_labels",
]
