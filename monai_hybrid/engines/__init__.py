"""What MONAI's SupervisedTrainer and SupervisedEvaluator need to train a hybrid diffusion model."""

from monai_hybrid.earlier_names import moved_from
from monai_hybrid.engines.accumulation import AccumulatedUpdate
from monai_hybrid.engines.guards import GradientClip, StopOnNonFinite
from monai_hybrid.engines.length import LastUpdate
from monai_hybrid.engines.listed_output import ListedOutput
from monai_hybrid.engines.pictures import TrainingPictures
from monai_hybrid.engines.prepare_batch import HybridPrepareBatch
from monai_hybrid.engines.progress import CaseProgress, Progress
from monai_hybrid.engines.replay import ReplayableDataset, ReplayableSampler, SeededUpdates
from monai_hybrid.engines.samplers import mixed_sampler, pretraining_sampler
from monai_hybrid.engines.teacher import MeanTeacher, TeachingRamp
from monai_hybrid.engines.training_log import TrainingLog
from monai_hybrid.engines.weights_handlers import WeightsLoader, WeightsSaver

__all__ = [
    "AccumulatedUpdate",
    "CaseProgress",
    "GradientClip",
    "HybridPrepareBatch",
    "LastUpdate",
    "ListedOutput",
    "MeanTeacher",
    "Progress",
    "ReplayableDataset",
    "ReplayableSampler",
    "SeededUpdates",
    "StopOnNonFinite",
    "TeachingRamp",
    "TrainingLog",
    "TrainingPictures",
    "WeightsLoader",
    "WeightsSaver",
    "mixed_sampler",
    "pretraining_sampler",
]

__getattr__ = moved_from("engines")
