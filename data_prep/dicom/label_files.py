"""Masks of DICOM series as files that are named like their cases: a user's own file names may be names of patients."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.cases import Case, Source
from data_prep.errors import DataError
from data_prep.header_text import without_text_in
from data_prep.naming import naming
from data_prep.nifti import GZIP_MAGIC
from data_prep.reading import NIFTI, extension
from data_prep.structures import as_nifti
from data_prep.volume import ReadError
from data_prep.written_labels import LabelFile, write_labels


def converted_labels(raw: Source, cases: Sequence[Case], folder: Path) -> dict[str, Path]:
    """Write masks under the names of their cases; by case, the file.

    Masks of DICOM become NIfTI. Files are copied, NIfTI without the free text of its header. With --keep-names, and where their
    names are those of cases or of series, they stay where they are.

    Raises:
        ConfigError: the folder holds files of somebody else's.
        DataError: one cannot be read.
        EnvironmentFault: no space or no right.
    """
    return write_labels(_converted(raw, cases), folder, "masks of DICOM series")


def _converted(raw: Source, cases: Sequence[Case]) -> Iterator[LabelFile]:
    for case in cases:
        if case.label is None:
            continue
        reader = raw.volumes.get(case.label)
        if reader is not None:
            try:
                label = reader()
            except ReadError as fault:  # which names no file: it may be called like a patient
                raise DataError(f"{case.case_id}: its segmentation: {fault.seen}") from fault
            affine = raw.series[case.case_id].affine if label.affine is None else label.affine
            yield LabelFile(case.case_id, f"{case.case_id}.nii.gz", as_nifti(label.array, affine))
        elif not (naming().keep or case.label.name in naming().given):
            yield LabelFile(case.case_id, f"{case.case_id}{extension(case.label)}", _copy(case.label))


def _copy(mask: Path) -> bytes:
    raw = mask.read_bytes()
    if extension(mask) not in NIFTI:
        return raw
    packed = raw[:2] == GZIP_MAGIC
    plain = without_text_in(gzip.decompress(raw) if packed else raw)
    return gzip.compress(plain, 6, mtime=0) if packed else plain
