"""MONAI's notice about a GPU decoder of DICOM reaches nobody who uses a command of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOAD = "from monai.transforms import LoadImage; LoadImage()"
NOTICE = "nvImageCodec"


def said(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stderr


def test_the_notice_is_silent_once_the_package_is_imported() -> None:
    pytest.importorskip("pydicom")
    if NOTICE not in said(LOAD):
        pytest.skip("this MONAI does not say it")
    assert NOTICE not in said(f"import monai_hybrid; {LOAD}")
    assert NOTICE not in said(f"import monai_hybrid.bundle; {LOAD}")


def test_other_loggers_of_monai_still_speak() -> None:
    code = "import logging; import monai_hybrid; logging.getLogger('monai.data.image_reader').warning('this is told')"
    assert "this is told" in said(code)
