"""pydicom, imported where it is needed and kept quiet: its warnings quote values of the file, and those name patients."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from data_prep.errors import EnvironmentFault
from data_prep.foreign import DICOM_INSTALL


def library() -> ModuleType:
    """The module pydicom.

    Raises:
        EnvironmentFault: it is not installed.
    """
    try:
        import pydicom
    except ImportError as error:
        raise EnvironmentFault(f"DICOM needs pydicom, which is not installed. Type: {DICOM_INSTALL}") from error
    return pydicom


@contextmanager
def quiet() -> Iterator[ModuleType]:
    """Around all reading: values are taken as they are, and nothing is printed about them.

    Raises:
        EnvironmentFault: pydicom is not installed.
    """
    pydicom = library()
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield pydicom
    finally:
        logger.setLevel(level)
