"""From a list of image files to masks and `quality.csv`: one bad file stops nothing, finished cases are not done twice."""

from monai_hybrid.prediction.bids_derivative import BidsDerivatived
from monai_hybrid.prediction.cases import PredictionDataset
from monai_hybrid.prediction.denoising import DenoisingScore
from monai_hybrid.prediction.engine import Predictor
from monai_hybrid.prediction.file_image import FileImage
from monai_hybrid.prediction.masks import SaveMasksd
from monai_hybrid.prediction.preview import CasePreview
from monai_hybrid.prediction.signals import CaseSignals
from monai_hybrid.prediction.statistics import CaseStatistics
from monai_hybrid.prediction.table import QualityTable
from monai_hybrid.prediction.trust_report import TrustReport

__all__ = [
    "BidsDerivatived", "CasePreview", "CaseSignals", "CaseStatistics", "DenoisingScore", "FileImage", "PredictionDataset",
    "Predictor", "QualityTable", "SaveMasksd", "TrustReport",
]  # fmt: skip
