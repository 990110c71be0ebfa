"""A series as the volume that the checks of images take."""

from __future__ import annotations

import hashlib
from pathlib import Path

from data_prep.dicom.pixels import read_series
from data_prep.dicom.series import Series
from data_prep.volume import Volume


def volume_of(series: Series, place: Path) -> Volume:
    """Read a series; (X, Y, Z), affine to RAS mm. `place` stands for it in messages.

    Raises:
        ReadError: see `read_series`.
        EnvironmentFault: pydicom is not installed.
    """
    voxels, affine = read_series(series)
    digest = hashlib.sha256("|".join(plane.sop_uid for plane in series.planes).encode()).hexdigest()
    return Volume(place, voxels, affine, str(voxels.dtype), digest)
