"""pydicom and highdicom, imported where they are needed, and kept quiet: their warnings quote values that name patients."""

from __future__ import annotations

import importlib
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from data_prep.errors import EnvironmentFault
from data_prep.this_python import install

# A prediction reads in one thread and writes in another, and what `quiet` sets is the whole process's.
_ALONE = threading.RLock()


def library() -> ModuleType:
    """The module pydicom.

    Raises:
        EnvironmentFault: it is not installed.
    """
    return _of_the_extra("pydicom", "DICOM")


def highdicom() -> ModuleType:
    """The module highdicom.

    Raises:
        EnvironmentFault: it is not installed.
    """
    return _of_the_extra("highdicom", "DICOM-SEG")


def _of_the_extra(name: str, purpose: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EnvironmentFault(f"{purpose} needs {name}, which is not installed. Type: {install('dicom')}") from error


@contextmanager
def quiet() -> Iterator[ModuleType]:
    """Around all reading and writing, one thread at a time: values are taken as they are, and nothing is printed about them.

    Raises:
        EnvironmentFault: pydicom is not installed.
    """
    pydicom = library()
    with _ALONE:
        loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            with warnings.catch_warnings(), pydicom.config.disable_value_validation():
                warnings.simplefilter("ignore")
                yield pydicom
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
