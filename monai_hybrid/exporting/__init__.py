"""The segmenter as one file for programs without MONAI, with all that it takes to use it in a JSON file beside it."""

from monai_hybrid.exporting.sidecar import sidecar_of
from monai_hybrid.exporting.write import export_model

__all__ = ["export_model", "sidecar_of"]
