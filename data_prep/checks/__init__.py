"""Checks of the data, one file per group. Importing this package registers them all."""

from data_prep.checks import (
    bids,
    case_folders,
    datalist,
    dicom,
    dicom_labels,
    files,
    geometry,
    ignoring,
    intensities,
    labels,
    pairing,
    people,
    pictures,
    plan,
    spacings,
)
from data_prep.checks.registry import REGISTRY, Check, Finding, Remark, check, run_checks

__all__ = [
    "REGISTRY",
    "Check",
    "Finding",
    "Remark",
    "bids",
    "case_folders",
    "check",
    "datalist",
    "dicom",
    "dicom_labels",
    "files",
    "geometry",
    "ignoring",
    "intensities",
    "labels",
    "pairing",
    "people",
    "pictures",
    "plan",
    "run_checks",
    "spacings",
]
