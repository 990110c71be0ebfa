"""A series as a NIfTI file: whole numbers as they are, both of its matrices set, lengths in mm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from data_prep.atomic import replace_file
from data_prep.dicom.pixels import read_series
from data_prep.dicom.series import Series
from data_prep.disk import needing
from data_prep.errors import DataError
from data_prep.foreign import CHECK
from data_prep.progress import told
from data_prep.result_files import anything, take_folder
from data_prep.volume import ReadError


def write_nifti(series: Series, path: Path) -> Path:
    """Write one series; (X, Y, Z), voxel -> RAS mm.

    Raises:
        ReadError: see `read_series`.
        OSError: no space or no right; nothing is left behind.
    """
    from data_prep.new_nifti import new_nifti

    voxels, affine = read_series(series)
    image = new_nifti(voxels, affine)
    path.parent.mkdir(parents=True, exist_ok=True)
    with needing(voxels.nbytes, path):
        replace_file(path, lambda temporary: _save(image, temporary, path), anything)
    return path


def converted(series: Mapping[str, Series], folder: Path) -> dict[str, Path]:
    """Write each series as `<case>.nii.gz` into a folder; by case, the file.

    Raises:
        ConfigError: the folder holds files of somebody else's.
        DataError: one cannot be read.
        OSError: no space or no right.
    """
    take_folder(folder, "DICOM series as NIfTI")
    files = {}
    for case, one in told(list(series.items()), "series written"):
        try:
            files[case] = write_nifti(one, folder / f"{case}.nii.gz")
        except ReadError as fault:
            raise DataError(f"{case}: {one.title}: {fault.seen}. Type: {CHECK} FOLDER") from fault
    return files


def _save(image: object, temporary: Path, path: Path) -> None:
    import gzip

    data = image.to_bytes()  # type: ignore[attr-defined]
    temporary.write_bytes(gzip.compress(data, 1, mtime=0) if path.name.endswith(".gz") else data)
