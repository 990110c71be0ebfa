"""What the bundle configurations call: preparing data, finding models, refusing mistyped settings."""

from monai_hybrid.bundle.cases import cases_to_predict
from monai_hybrid.bundle.data import PreparedData, prepare_data
from monai_hybrid.bundle.labels import values_by_name
from monai_hybrid.bundle.model import find_card
from monai_hybrid.bundle.sample import PairSampler
from monai_hybrid.bundle.start import start

__all__ = [
    "PairSampler",
    "PreparedData",
    "cases_to_predict",
    "find_card",
    "prepare_data",
    "start",
    "values_by_name",
]
