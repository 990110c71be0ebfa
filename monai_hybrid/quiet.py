"""What MONAI says that no user of ours needs: where pydicom is installed, each `LoadImage` reports that a GPU decoder is not.

We never read DICOM through MONAI: `data_prep.dicom` turns it into NIfTI first.
"""

from __future__ import annotations

import logging
import warnings

DECODER_LOGGER = "monai.data.nvimgcodec_pydicom_plugin"


def silence_decoder_notice() -> None:
    """Keep MONAI's lines about the missing nvImageCodec decoder off the screen; all its other loggers stay as they are."""
    logging.getLogger(DECODER_LOGGER).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader: nvImageCodec decoder plugin did not register")
