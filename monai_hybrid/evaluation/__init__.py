"""Scores that cannot flatter. What needs torch is imported when it is asked for: reading scores does without."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monai_hybrid.evaluation.comparison import compare
    from monai_hybrid.evaluation.dice import DiceHandler
    from monai_hybrid.evaluation.mask_files import LoadMasksd, mask_and_label, mask_values
    from monai_hybrid.evaluation.mask_owners import cases_with_masks
    from monai_hybrid.evaluation.named_scores import NamedScores
    from monai_hybrid.evaluation.report import EvaluationReport
    from monai_hybrid.evaluation.slices import SliceSaver

__all__ = [
    "DiceHandler",
    "EvaluationReport",
    "LoadMasksd",
    "NamedScores",
    "SliceSaver",
    "cases_with_masks",
    "compare",
    "mask_and_label",
    "mask_values",
]
_FILES = {
    **dict.fromkeys(("LoadMasksd", "mask_and_label", "mask_values"), "mask_files"),
    "cases_with_masks": "mask_owners",
    "DiceHandler": "dice",
    "EvaluationReport": "report",
    "NamedScores": "named_scores",
    "SliceSaver": "slices",
    "compare": "comparison",
}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
