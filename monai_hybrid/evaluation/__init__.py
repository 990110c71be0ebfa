"""Scores that cannot flatter."""

from monai_hybrid.evaluation.comparison import compare
from monai_hybrid.evaluation.dice import DiceHandler
from monai_hybrid.evaluation.finite import FinitePredictions
from monai_hybrid.evaluation.report import EvaluationReport

__all__ = ["DiceHandler", "EvaluationReport", "FinitePredictions", "compare"]
