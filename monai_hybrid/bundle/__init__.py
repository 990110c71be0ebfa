"""What the bundle configurations call: preparing data, finding models, refusing mistyped settings."""

from monai_hybrid.bundle.cases import cases_to_predict
from monai_hybrid.bundle.data import PreparedData, prepare_data
from monai_hybrid.bundle.device_defaults import compile_network, loader_processes, mixed_precision_pays, validation_network
from monai_hybrid.bundle.labels import values_by_name
from monai_hybrid.bundle.model import find_card, network_of, start_file
from monai_hybrid.bundle.preprocessing import image_transforms
from monai_hybrid.bundle.reference import CardReference
from monai_hybrid.bundle.sample import PairSampler
from monai_hybrid.bundle.setting_values import check_patch
from monai_hybrid.bundle.shift import describe_shift
from monai_hybrid.bundle.source_domain import Forgetting
from monai_hybrid.bundle.start import start
from monai_hybrid.distilled_models import refuse_to_denoise
from monai_hybrid.earlier_names import moved_from
from monai_hybrid.evaluation.sharing import own_share
from monai_hybrid.evaluation.tolerance import choose_tolerance
from monai_hybrid.losses.objectives import learnt_objective
from monai_hybrid.processes import join_processes, leave_processes
from monai_hybrid.results_folder import data_folder, results_folder
from monai_hybrid.transforms.contrast import contrast_kind

__all__ = [
    "CardReference",
    "Forgetting",
    "PairSampler",
    "PreparedData",
    "cases_to_predict",
    "check_patch",
    "choose_tolerance",
    "compile_network",
    "contrast_kind",
    "data_folder",
    "describe_shift",
    "find_card",
    "image_transforms",
    "join_processes",
    "learnt_objective",
    "leave_processes",
    "loader_processes",
    "mixed_precision_pays",
    "network_of",
    "own_share",
    "prepare_data",
    "refuse_to_denoise",
    "results_folder",
    "start",
    "start_file",
    "validation_network",
    "values_by_name",
]

__getattr__ = moved_from("bundle")
