"""How the network is called: mixed precision on the CPU, averaging over small t, writing on the input's own grid."""

from monai_hybrid.inferers.autocast import AutocastInferer
from monai_hybrid.inferers.native_grid import SaveOnInputGridd
from monai_hybrid.inferers.small_t import SmallTAverage

__all__ = ["AutocastInferer", "SaveOnInputGridd", "SmallTAverage"]
