"""DICOM at the border: series are found by their headers, checked, and read as NIfTI is: voxels and an affine to RAS mm."""

from data_prep.dicom.convert import write_nifti
from data_prep.dicom.pixels import read_series
from data_prep.dicom.series import Series, find_series

__all__ = ["Series", "find_series", "read_series", "write_nifti"]
