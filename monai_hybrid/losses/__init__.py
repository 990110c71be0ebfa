"""The hybrid objective; the control arms are settings of it."""

from monai_hybrid.losses.hybrid import HybridLoss
from monai_hybrid.losses.objectives import OBJECTIVES, Objective, get_objective

__all__ = ["OBJECTIVES", "HybridLoss", "Objective", "get_objective"]
