"""How the network is called: mixed precision on the CPU, writing on the input's own grid."""

from monai_hybrid.inferers.autocast import AutocastInferer
from monai_hybrid.inferers.native_grid import SaveOnInputGridd

__all__ = ["AutocastInferer", "SaveOnInputGridd"]
