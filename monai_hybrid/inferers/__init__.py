"""How the network is called: mixed precision on the CPU, in little memory, over small t, onto the input's own grid."""

from monai_hybrid.inferers.autocast import AutocastInferer
from monai_hybrid.inferers.input_grid import InputGridInferer
from monai_hybrid.inferers.native_grid import SaveMapsd, SaveOnInputGridd
from monai_hybrid.inferers.segmenter import segmenter
from monai_hybrid.inferers.small_t import SmallTAverage

__all__ = ["AutocastInferer", "InputGridInferer", "SaveMapsd", "SaveOnInputGridd", "SmallTAverage", "segmenter"]
