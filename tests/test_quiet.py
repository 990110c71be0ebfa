"""MONAI's notice about a GPU decoder of DICOM reaches nobody who uses a command of ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from warm import run_code

ROOT = Path(__file__).parents[1]
CODE = """
import logging, sys, warnings
import monai_hybrid
from monai.transforms import LoadImage
from monai_hybrid.quiet import DECODER_LOGGER
LoadImage()
logging.getLogger("monai.data.image_reader").warning("this is told")
print("loud again", file=sys.stderr, flush=True)
logging.getLogger(DECODER_LOGGER).setLevel(logging.NOTSET)
warnings.resetwarnings()
LoadImage()
"""


def test_the_notice_is_silent_once_the_package_is_imported_and_other_loggers_speak() -> None:
    pytest.importorskip("pydicom")
    told = run_code(CODE, [], ROOT, os.environ).stderr
    before, after = told.split("loud again")
    if "nvImageCodec" not in after:
        pytest.skip("this MONAI does not say it")
    assert "nvImageCodec" not in before and "this is told" in before
