"""How the network is called: mixed precision on the CPU, writing on the input's own grid."""

from monai_hybrid.inferers.autocast import AutocastInferer

__all__ = ["AutocastInferer"]
