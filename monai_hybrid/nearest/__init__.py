"""Which model lies nearest to scans: by grids and grey values, and by how well the model denoises them. No label is read."""

from monai_hybrid.nearest.judge import Near, judged
from monai_hybrid.nearest.ranking import chosen, rank

__all__ = ["Near", "chosen", "judged", "rank"]
