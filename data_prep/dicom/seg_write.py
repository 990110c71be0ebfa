"""DICOM-SEG out: a mask of a series as one file that archives list beside the images and viewers lay over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.atomic import replace_file
from data_prep.dicom.codes import Code, SegmentCode
from data_prep.dicom.library import highdicom, quiet
from data_prep.dicom.series import Series
from data_prep.disk import needing
from data_prep.errors import DataError
from data_prep.scans import MADE_HERE
from data_prep.volume import Array

MADE = f"segmentation {MADE_HERE.decode()}"
HEAD = 16_384  # bytes of a file that the name of its maker lies in
LONGEST = 64  # characters of a DICOM long string (LO)
UTF8 = "ISO_IR 192"
NUMBERS_FROM = 1000  # added to the number of the source's series
# Attributes that every file must have and may leave empty (type 2); de-identified files often lack them.
MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip


@dataclass(frozen=True)
class Algorithm:
    """What made a mask: `name` and `version` of the program, `model` as a short hash of its weights, further `parameters`."""

    name: str
    version: str
    model: str = "none"
    parameters: dict[str, str] = field(default_factory=dict)


def write_seg(
    mask: Array, series: Series, segments: Sequence[tuple[str, SegmentCode]], algorithm: Algorithm, path: Path
) -> Path:
    """Write a label map as a DICOM-SEG of type BINARY; patient, study and frame of reference are the source's.

    Frames without a voxel are left out. Each segment is described, also one without any voxel: it was looked for. A mask of
    nothing at all has one empty frame a segment, at the first slice.

    Args:
        mask: (X, Y, Z) integers on the grid of `read_series`: 0 for background, n for segment n.
        series: the source; every file of it is referenced.
        segments: name and code of segments 1, 2, ...
        algorithm: told in each segment.
        path: of the file.

    Raises:
        DataError: the mask is not on the series' grid, or the series lacks what a SEG refers to; nothing is written then.
        EnvironmentFault: highdicom is not installed.
        OSError: no space or no right.
    """
    if mask.shape != series.shape:
        raise DataError(f"{series.title}: the mask has the grid {mask.shape}, expected the series', {series.shape}")
    if int(mask.min()) < 0 or int(mask.max()) > len(segments):
        raise DataError(f"{series.title}: the mask holds {int(mask.max())}, expected 0 to {len(segments)}, one a segment")
    if not (series.frame_of_reference_uid and series.uid and series.study_uid):
        raise DataError(
            f"{series.title}: it has no FrameOfReferenceUID, SeriesInstanceUID or StudyInstanceUID, by which a SEG finds its "
            "images; export it again with these, or convert it to NIfTI and predict that"
        )
    highdicom()
    with quiet():
        seg = _segmentation(mask, series, segments, algorithm)
        with needing(len(seg.PixelData) + HEAD, path):
            replace_file(path, lambda temporary: seg.save_as(temporary))
    return path


def is_own_seg(path: Path) -> bool:
    """Whether a DICOM file says that it was written here; not where it cannot be read."""
    try:
        with path.open("rb") as handle:
            return MADE_HERE in handle.read(HEAD)
    except OSError:
        return False


def _segmentation(mask: Array, series: Series, segments: Sequence[tuple[str, SegmentCode]], algorithm: Algorithm) -> Any:
    hd = highdicom()
    frames = mask.transpose(2, 1, 0)  # (slices, rows, columns)
    planes = series.planes
    if not frames.any():
        frames, planes = frames[:1], planes[:1]
    first = series.planes[0]
    try:
        sources = _sources(series)
        return hd.seg.Segmentation(
            sources[:1] if first.frames > 1 else sources,
            np.ascontiguousarray(frames, dtype=np.uint8 if len(segments) < 256 else np.uint16),
            hd.seg.SegmentationTypeValues.BINARY,
            [_described(number, *segment, algorithm) for number, segment in enumerate(segments, 1)],
            further_source_images=sources[1:] if first.frames > 1 and len(sources) > 1 else None,
            series_instance_uid=hd.UID(),
            series_number=NUMBERS_FROM + (int(series.number) if series.number.isdecimal() else 0) % 10**6,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer=algorithm.name,
            manufacturer_model_name=MADE,
            software_versions=algorithm.version,
            device_serial_number=algorithm.model,
            content_label="SEGMENTATION",
            content_description=_short(MADE),
            series_description=_short(f"{MADE} of series {series.number}".strip()),
            specific_character_set=UTF8,
            pixel_measures=_measures(series),
            plane_orientation=_orientation(series),
            plane_positions=[hd.PlanePositionSequence("PATIENT", plane.position) for plane in planes],
        )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        # Its words may quote the file, and files name patients.
        raise DataError(
            f"{series.title}: highdicom cannot make a DICOM-SEG of it ({type(error).__name__}). "
            "Convert it to NIfTI and predict that"
        ) from error


def _sources(series: Series) -> list[Any]:
    """Headers of the source's files in the order of its slices, with what may be empty filled in."""
    from pydicom import dcmread

    found = []
    for file in series.files:
        dataset = dcmread(file, stop_before_pixels=True, force=True)
        for keyword in MAY_BE_EMPTY:
            if keyword not in dataset:
                setattr(dataset, keyword, "")
        _complete(dataset, series)
        found.append(dataset)
    return found


def _complete(dataset: Any, series: Series) -> None:
    """Say the size of voxels and the directions where highdicom looks for them; it takes the source's before those given."""
    from pydicom import Dataset

    if "PerFrameFunctionalGroupsSequence" in dataset:
        if not dataset.get("SharedFunctionalGroupsSequence"):
            dataset.SharedFunctionalGroupsSequence = [Dataset()]
        shared = dataset.SharedFunctionalGroupsSequence[0]
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = _measures(series), _orientation(series)
        return
    measures = _measures(series)[0]
    # Rounding may differ from file to file; highdicom asks for equal numbers.
    dataset.ImageOrientationPatient = _orientation(series)[0].ImageOrientationPatient
    dataset.SliceThickness, dataset.SpacingBetweenSlices = measures.SliceThickness, measures.SpacingBetweenSlices


def _measures(series: Series) -> Any:
    between = float(np.linalg.norm(series.affine[:3, 2]))
    return highdicom().PixelMeasuresSequence(series.planes[0].spacing, series.planes[0].thickness or between, between)


def _orientation(series: Series) -> Any:
    return highdicom().PlaneOrientationSequence("PATIENT", series.planes[0].orientation)


def _described(number: int, name: str, code: SegmentCode, algorithm: Algorithm) -> Any:
    from pydicom.sr.codedict import codes

    hd = highdicom()
    identification = hd.AlgorithmIdentificationSequence(
        name=_short(algorithm.name),
        family=codes.cid7162.ArtificialIntelligence,
        version=_short(algorithm.version),
        parameters=algorithm.parameters or None,
    )
    described = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=_short(name.replace("\\", "/")),
        segmented_property_category=_concept(code.category),
        segmented_property_type=_concept(code.type),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=identification,
    )
    if code.side is not None:
        described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [_concept(code.side)]
    return described


def _concept(code: Code) -> Any:
    return highdicom().sr.CodedConcept(code.value, code.scheme, code.meaning)


def _short(text: str) -> str:
    return text[:LONGEST].strip() or "unnamed"
