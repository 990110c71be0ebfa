"""DICOM files that the tests write: series of CT and MR, with planted identifiers that no output may show.

Axes: `pixels` is (slices, rows, columns), stored values. What a reader must give is `expected()`: (columns, rows, slices) =
(X, Y, Z), and an affine from voxel to RAS mm. Slice k lies at `origin + k * step`, step along the normal unless said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, generate_uid  # noqa: E402

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
ENHANCED = {"CT": "1.2.840.10008.5.1.4.1.1.2.1", "MR": "1.2.840.10008.5.1.4.1.1.4.1"}
PLANTED = {
    "PatientName": "Plantedname^Zelda",
    "PatientID": "PID-73918-XQ",
    "PatientBirthDate": "19610418",
    "AccessionNumber": "ACC-55120-ZW",
}
Vector = Sequence[float]
Directions = tuple[Vector, Vector]  # of increasing column index, of increasing row index; unit vectors in LPS
AXIAL: Directions = ((1, 0, 0), (0, 1, 0))
SAGITTAL: Directions = ((0, 1, 0), (0, 0, -1))
CORONAL: Directions = ((1, 0, 0), (0, 0, -1))


def oblique(degrees: float = 20, about: Vector = (1, 2, 3)) -> Directions:
    """Axial slices turned about an axis."""
    axis = np.asarray(about, float) / np.linalg.norm(about)
    turn = np.radians(degrees)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * cross @ cross
    return tuple(rotation[:, 0]), tuple(rotation[:, 1])


@dataclass(frozen=True)
class Written:
    """A series as it was written. `files` are in the order of the slices, wherever they lie."""

    files: tuple[Path, ...]
    pixels: Any
    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]
    affine: Any  # (4, 4) float64, voxel (column, row, slice) -> RAS mm
    series_uid: str
    study_uid: str
    frame_uid: str

    def expected(self) -> Any:
        """The values a reader must give, (X, Y, Z) float64."""
        scale = np.asarray(self.slopes)[:, None, None], np.asarray(self.intercepts)[:, None, None]
        return (self.pixels.astype(np.float64) * scale[0] + scale[1]).transpose(2, 1, 0)


def some_pixels(slices: int = 5, rows: int = 12, columns: int = 10, dtype: Any = np.int16, seed: int = 0) -> Any:
    """Stored values (slices, rows, columns) in which no two places look alike, within 12 bits."""
    low = -900 if np.issubdtype(dtype, np.signedinteger) else 0
    return np.random.default_rng(seed).integers(low, 1900, (slices, rows, columns)).astype(dtype)


def write_series(
    folder: Path,
    pixels: Any = None,
    *,
    modality: str = "CT",
    directions: Directions = AXIAL,
    spacing: Vector = (0.75, 0.5, 2.5),
    origin: Vector = (-21.5, 13.25, -40.0),
    step: Vector | None = None,
    slopes: float | Sequence[float] = 1,
    intercepts: float | Sequence[float] = -1024,
    names: str = "IM{:04d}",
    order: Sequence[int] | None = None,
    series_uid: str = "",
    study_uid: str = "",
    frame_uid: str = "",
    syntax: str = ExplicitVRLittleEndian,
    change: Callable[[int, Dataset], None] | None = None,
    **tags: Any,
) -> Written:
    """Write one file a slice.

    Args:
        folder: made when missing.
        pixels: stored values (slices, rows, columns), signed or unsigned; None for `some_pixels()`.
        modality: CT or MR.
        directions: of the columns and the rows, LPS.
        spacing: mm between columns, between rows, between slices.
        origin: centre of the first voxel of slice 0, LPS mm.
        step: from slice to slice, LPS mm; None for the normal times spacing. Another direction is a gantry tilt.
        slopes, intercepts: of the rescaling, for all slices or for each.
        names: of the files, with the place of a slice in `order`; may hold folders.
        order: the slice that file 0, 1, ... holds, which is InstanceNumber too; None for the order of the slices.
        syntax: a transfer syntax; a compressed one is encoded by pydicom and its plugins.
        change: called with (slice, dataset) before a file is written.
        tags: DICOM keywords to set in each file, for example SeriesDescription="T1"; None deletes.
    """
    pixels = some_pixels() if pixels is None else pixels
    row, column = (np.asarray(one, float) for one in directions)
    move = np.cross(row, column) * spacing[2] if step is None else np.asarray(step, float)
    uids = [uid or generate_uid() for uid in (series_uid, study_uid, frame_uid)]
    scales = [[float(v) for v in np.broadcast_to(value, len(pixels))] for value in (slopes, intercepts)]
    files: dict[int, Path] = {}
    for place, index in enumerate(order if order is not None else range(len(pixels))):
        dataset = _slice(modality, place, uids)
        _pixels_into(dataset, pixels[index])
        dataset.ImagePositionPatient = [_ds(v) for v in np.asarray(origin, float) + index * move]
        dataset.ImageOrientationPatient = [_ds(v) for v in (*row, *column)]
        dataset.PixelSpacing = [_ds(spacing[1]), _ds(spacing[0])]
        dataset.SliceThickness = _ds(spacing[2])
        dataset.RescaleSlope, dataset.RescaleIntercept = _ds(scales[0][index]), _ds(scales[1][index])
        _set(dataset, tags)
        if change is not None:
            change(index, dataset)
        files[index] = save(dataset, folder / names.format(place), syntax)
    affine = np.eye(4)
    affine[:3] = np.stack([row * spacing[0], column * spacing[1], move, np.asarray(origin, float)], axis=1)
    affine[:2] *= -1
    paths = tuple(files[index] for index in sorted(files))
    return Written(paths, pixels, tuple(scales[0]), tuple(scales[1]), affine, *uids)


def write_enhanced(
    path: Path,
    pixels: Any = None,
    *,
    modality: str = "CT",
    directions: Directions = AXIAL,
    spacing: Vector = (0.75, 0.5, 2.5),
    origin: Vector = (-21.5, 13.25, -40.0),
    slopes: float | Sequence[float] = 1,
    intercepts: float | Sequence[float] = -1024,
    order: Sequence[int] | None = None,
    syntax: str = ExplicitVRLittleEndian,
    change: Callable[[Dataset], None] | None = None,
    **tags: Any,
) -> Written:
    """Write one multi-frame file (enhanced CT or MR). Arguments as in `write_series`; `order` is the slice of each frame."""
    pixels = some_pixels() if pixels is None else pixels
    order = list(order) if order is not None else list(range(len(pixels)))
    row, column = (np.asarray(one, float) for one in directions)
    move = np.cross(row, column) * spacing[2]
    uids = [generate_uid() for _ in range(3)]
    scales = [[float(v) for v in np.broadcast_to(value, len(pixels))] for value in (slopes, intercepts)]
    dataset = _slice(modality, 0, uids)
    dataset.SOPClassUID = ENHANCED[modality]
    _pixels_into(dataset, pixels[0])
    dataset.PixelData = np.ascontiguousarray(pixels[order]).tobytes()
    dataset.NumberOfFrames = len(pixels)
    orientation = Dataset()
    orientation.ImageOrientationPatient = [_ds(v) for v in (*row, *column)]
    measures = Dataset()
    measures.PixelSpacing, measures.SliceThickness = [_ds(spacing[1]), _ds(spacing[0])], _ds(spacing[2])
    shared = Dataset()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in order:
        frame, place, values, content = Dataset(), Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [_ds(v) for v in np.asarray(origin, float) + index * move]
        values.RescaleSlope, values.RescaleIntercept = _ds(scales[0][index]), _ds(scales[1][index])
        values.RescaleType = "HU" if modality == "CT" else "US"
        content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", index + 1, [index + 1]
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [place], [values]
        frame.FrameContentSequence = [content]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    pointer = Dataset()
    pointer.DimensionIndexPointer, pointer.FunctionalGroupPointer = 0x00209057, 0x00209111
    dataset.DimensionIndexSequence = [pointer]
    _set(dataset, tags)
    if change is not None:
        change(dataset)
    affine = np.eye(4)
    affine[:3] = np.stack([row * spacing[0], column * spacing[1], move, np.asarray(origin, float)], axis=1)
    affine[:2] *= -1
    return Written((save(dataset, path, syntax),), pixels, tuple(scales[0]), tuple(scales[1]), affine, *uids)


def save(dataset: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a data set as a DICOM file; its folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if pydicom.uid.UID(syntax).is_compressed else pydicom.uid.UID(syntax)
    file = FileDataset(str(path), dataset, file_meta=meta, preamble=b"\0" * 128)
    if pydicom.uid.UID(syntax).is_compressed:
        file.compress(syntax, generate_instance_uid=False)
    file.save_as(path, enforce_file_format=True)
    return path


def _slice(modality: str, place: int, uids: Sequence[str]) -> Dataset:
    """Everything but geometry and pixels: a whole CT or MR slice, so that validators and archives take it."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = {"CT": CT, "MR": MR}[modality], generate_uid()
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = uids
    for keyword, value in PLANTED.items():
        setattr(dataset, keyword, value)
    dataset.PatientSex, dataset.StudyID, dataset.StudyDate, dataset.StudyTime = "O", "7", "20240102", "101112"
    dataset.SeriesDate, dataset.SeriesTime, dataset.AcquisitionDate, dataset.AcquisitionTime = ("20240102", "101113") * 2
    dataset.ContentDate, dataset.ContentTime = "20240102", "101114"
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = modality, 3, place + 1, 1
    dataset.Manufacturer, dataset.ReferringPhysicianName, dataset.PositionReferenceIndicator = "test", "", ""
    dataset.SeriesDescription = "made by a test"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if modality == "CT" else "M"]
    dataset.PatientPosition, dataset.BodyPartExamined = "HFS", "HEART"
    if modality == "CT":
        dataset.KVP, dataset.RescaleType = "120", "HU"
    else:
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions, dataset.MRAcquisitionType = "GR", "SP", "", "2D"
        dataset.EchoTime, dataset.RepetitionTime, dataset.EchoTrainLength, dataset.MagneticFieldStrength = "2.5", "50", 1, "1.5"
    return dataset


def _pixels_into(dataset: Dataset, plane: Any) -> None:
    dataset.Rows, dataset.Columns = plane.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = plane.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(plane.dtype.kind == "i")
    dataset.add_new(0x7FE00010, "OW" if plane.dtype.itemsize > 1 else "OB", np.ascontiguousarray(plane).tobytes())


def _set(dataset: Dataset, tags: dict[str, Any]) -> None:
    for keyword, value in tags.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)


def _ds(value: float) -> str:
    """A number as a decimal string of at most 16 characters."""
    for digits in range(16, 5, -1):
        text = f"{float(value):.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(value)
