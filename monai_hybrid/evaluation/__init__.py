"""Scores that cannot flatter."""

from monai_hybrid.evaluation.comparison import compare
from monai_hybrid.evaluation.dice import DiceHandler
from monai_hybrid.evaluation.report import EvaluationReport
from monai_hybrid.evaluation.slices import SliceSaver

__all__ = ["DiceHandler", "EvaluationReport", "SliceSaver", "compare"]
