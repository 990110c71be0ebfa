"""Planes of a multi-frame file (enhanced CT and MR): each frame has its own place, rescaling and kind (PS3.3 C.7.6.16)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from data_prep.dicom.plane import Plane
from data_prep.dicom.values import number, numbers, text, texts
from data_prep.volume import ReadError

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
FRAME_TAGS = (SHARED, PER_FRAME)
MOST = 100_000  # frames of a file
TELLS = (
    ("MREchoSequence", "EffectiveEchoTime", "EchoTime"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle", "FlipAngle"),
    ("MRDiffusionSequence", "DiffusionBValue", "DiffusionBValue"),
    ("FrameContentSequence", "TemporalPositionIndex", "TemporalPositionIdentifier"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", "NominalCardiacTriggerDelayTime"),
    ("MRImageFrameTypeSequence", "FrameType", "ImageType"),
    ("CTImageFrameTypeSequence", "FrameType", "ImageType"),
    ("CTReconstructionSequence", "ConvolutionKernel", "ConvolutionKernel"),
    ("FrameContentSequence", "FrameAcquisitionNumber", "AcquisitionNumber"),
    ("FrameContentSequence", "StackID", "StackID"),
)


def frames_of(dataset: Any, whole: Plane) -> list[Plane]:
    """One plane a frame. A file without functional groups gives planes without a place.

    Raises:
        ReadError: it says more frames than any file has, or fewer than it describes.
    """
    each = list(dataset.get(PER_FRAME) or ())
    shared = next(iter(dataset.get(SHARED) or ()), None)
    if whole.frames > MOST:
        raise ReadError("too_large", f"its header says {whole.frames} frames; the limit is {MOST}")
    if len(each) > whole.frames:
        raise ReadError("damaged", f"it describes {len(each)} frames; its header says {whole.frames}")
    each += [None] * (whole.frames - len(each))  # frames without a word about their place
    return [_frame(replace(whole, frame=index), group, shared) for index, group in enumerate(each)]


def _frame(plane: Plane, own: Any, shared: Any) -> Plane:
    def first(sequence: str, keyword: str) -> Any:
        for group in (own, shared):
            item = next(iter((group.get(sequence) if group is not None else None) or ()), None)
            if item is not None and keyword in item:
                return item
        return None

    def several(sequence: str, keyword: str, count: int, usual: Any) -> Any:
        item = first(sequence, keyword)
        return usual if item is None else numbers(item, keyword, count)

    def single(keyword: str, usual: float) -> float | None:
        item = first("PixelValueTransformationSequence", keyword)
        return usual if item is None else number(item, keyword)

    return replace(
        plane,
        orientation=several("PlaneOrientationSequence", "ImageOrientationPatient", 6, plane.orientation),
        position=several("PlanePositionSequence", "ImagePositionPatient", 3, None),
        spacing=several("PixelMeasuresSequence", "PixelSpacing", 2, plane.spacing),
        thickness=(several("PixelMeasuresSequence", "SliceThickness", 1, (plane.thickness,)) or (None,))[0],
        slope=single("RescaleSlope", plane.slope) or 1.0,
        intercept=single("RescaleIntercept", plane.intercept) or 0.0,
        tells=tuple(dict([*plane.tells, *_tells(first)]).items()),
    )


def _tells(first: Any) -> Iterator[tuple[str, str]]:
    for sequence, keyword, name in TELLS:
        item = first(sequence, keyword)
        if item is not None:
            yield name, "\\".join(texts(item, keyword)) if name == "ImageType" else text(item, keyword)
