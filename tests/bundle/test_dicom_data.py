"""A raw folder of DICOM given to a training is prepared as `build` prepares it: the bundles read NIfTI."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_files import some_pixels, write_series

from monai_hybrid.bundle.data import prepare_data
from monai_hybrid.errors import DataError


def test_a_folder_of_dicom_with_masks_is_prepared_and_one_with_a_fault_is_refused(tmp_path: Path) -> None:
    series = [write_series(tmp_path / f"raw/{i}", some_pixels(12, 24, 24, seed=i), PatientID=f"X{i}") for i in range(3)]
    (tmp_path / "raw/labels").mkdir()
    for one in series:
        mask = nib.Nifti1Image((one.pixels > 900).astype(np.uint8).transpose(2, 1, 0), one.affine)
        mask.to_filename(tmp_path / "raw/labels" / f"{one.series_uid}.nii.gz")
    data = prepare_data(str(tmp_path / "raw"), str(tmp_path / "run"))
    cases = [*data.training, *data.validation, *data.testing]
    assert len(cases) == 3 and all(case["image"].endswith(".nii.gz") and Path(case["image"]).is_file() for case in cases)
    series[1].files[5].unlink()
    with pytest.raises(DataError, match="D510"):
        prepare_data(str(tmp_path / "raw"), str(tmp_path / "other"))
