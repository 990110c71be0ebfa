"""A series as a NIfTI file: whole numbers as they are, both of its matrices set, lengths in mm."""

from __future__ import annotations

from pathlib import Path

from data_prep.atomic import replace_file
from data_prep.dicom.pixels import read_series
from data_prep.dicom.series import Series
from data_prep.disk import needing


def write_nifti(series: Series, path: Path) -> Path:
    """Write one series; (X, Y, Z), voxel -> RAS mm.

    Raises:
        ReadError: see `read_series`.
        OSError: no space or no right; nothing is left behind.
    """
    import nibabel as nib

    voxels, affine = read_series(series)
    image = nib.Nifti1Image(voxels, affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    with needing(voxels.nbytes, path):
        replace_file(path, lambda temporary: _save(image, temporary, path))
    return path


def _save(image: object, temporary: Path, path: Path) -> None:
    import gzip

    data = image.to_bytes()  # type: ignore[attr-defined]
    temporary.write_bytes(gzip.compress(data, 1, mtime=0) if path.name.endswith(".gz") else data)
