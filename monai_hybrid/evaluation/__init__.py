"""Scores that cannot flatter."""

from monai_hybrid.evaluation.dice import DiceHandler
from monai_hybrid.evaluation.scores import DiceReport

__all__ = ["DiceHandler", "DiceReport"]
