"""The shift report beside an evaluation."""

from __future__ import annotations

import logging
from pathlib import Path

from data_prep.home import at_home
from monai_hybrid.bundle.data import PreparedData
from monai_hybrid.processes import rank_and_number

logger = logging.getLogger("monai_hybrid.evaluation")


def describe_shift(source_dir: str | None, target: PreparedData, output_dir: str) -> None:
    """Write `shift.json` and `shift.png`, source against target; nothing without a source. Rank 0 alone.

    Raises:
        DataError: no prepared source, a file that cannot be read, or 2D against 3D.
    """
    if rank_and_number()[0] > 0:
        return
    for name in ("shift.json", "shift.png"):  # of an earlier run with another source
        (Path(output_dir) / name).unlink(missing_ok=True)
    if not source_dir:
        return
    from data_prep.shift import shift

    for finding in shift(at_home(source_dir), target.folder, Path(output_dir))["findings"]:
        logger.info("%s: %s", finding["level"], finding["sentence"])
