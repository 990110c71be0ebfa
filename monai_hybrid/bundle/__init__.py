"""What the bundle configurations call: preparing data, finding models, refusing mistyped settings."""

from monai_hybrid.bundle.cases import cases_to_predict
from monai_hybrid.bundle.data import PreparedData, prepare_data
from monai_hybrid.bundle.labels import values_by_name
from monai_hybrid.bundle.model import find_card
from monai_hybrid.bundle.sample import PairSampler
from monai_hybrid.bundle.shots import draw_shots, mixed_sampler, without_labels
from monai_hybrid.bundle.start import start
from monai_hybrid.bundle.starting_point import StartingPoint, starting_point

__all__ = [
    "PairSampler",
    "PreparedData",
    "StartingPoint",
    "cases_to_predict",
    "draw_shots",
    "find_card",
    "mixed_sampler",
    "prepare_data",
    "start",
    "starting_point",
    "values_by_name",
    "without_labels",
]
