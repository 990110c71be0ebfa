"""A small segmenter that learns from a model's probabilities: the student, its teacher, the scans, and the loss."""

from monai_hybrid.distilling.lesson import DistilLoss, DistilPrepareBatch
from monai_hybrid.distilling.scans import sampled_cases, scans_beside
from monai_hybrid.distilling.student import student_of
from monai_hybrid.distilling.teacher import Teacher, named_teacher

__all__ = [
    "DistilLoss",
    "DistilPrepareBatch",
    "Teacher",
    "named_teacher",
    "sampled_cases",
    "scans_beside",
    "student_of",
]
