"""DICOM segmentations as label maps on the grid of the series that they were drawn on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.dicom.codestream import Stream, check_codestream
from data_prep.dicom.library import library, quiet
from data_prep.dicom.names import without_identifiers
from data_prep.dicom.pixels import require_decoder
from data_prep.dicom.plane import UNCOMPRESSED
from data_prep.dicom.seg_grid import item_of, placed
from data_prep.dicom.series import Series
from data_prep.dicom.tags import IDENTIFIERS
from data_prep.dicom.values import number, text, texts, whole
from data_prep.nifti import MAX_BYTES, free_memory
from data_prep.volume import Array, ReadError

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
HALF = 0.5  # share of the largest value from which a voxel of a fractional segmentation belongs to its segment


@dataclass(frozen=True)
class Segment:
    """One segment of a file: its number there, and the name that it has in all files."""

    number: int
    name: str


@dataclass(frozen=True)
class Segmentation:
    """What the header of a segmentation tells.

    Attributes:
        path: the file.
        kind: BINARY, FRACTIONAL or LABELMAP.
        segments: without a background.
        series_uids: of the series that it refers to; empty where it refers to none.
        source_uids: SOPInstanceUIDs of the images that its frames refer to.
        frame_of_reference_uid: "" when the header has none.
        frames, rows, columns: of the stored pixels.
        background: numbers of segments that are called so.
    """

    path: Path
    kind: str
    segments: tuple[Segment, ...]
    series_uids: frozenset[str]
    source_uids: frozenset[str]
    frame_of_reference_uid: str
    frames: int
    rows: int
    columns: int
    background: frozenset[int] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its segments, each once, in the order of their numbers."""
        return tuple(dict.fromkeys(segment.name for segment in self.segments))


def read_segmentation(path: Path) -> Segmentation:
    """Read the header of a segmentation.

    Raises:
        ReadError: "damaged", "segment_names", or what makes it no segmentation of a volume.
        EnvironmentFault: pydicom is not installed.
    """
    with quiet() as pydicom:
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            return _segmentation(path, dataset)
        except (ReadError, MemoryError):
            raise
        except Exception as error:  # pydicom has no one error class; its words may quote the file
            raise ReadError("damaged", f"its DICOM header is damaged ({type(error).__name__})") from error


def _segmentation(path: Path, dataset: Any) -> Segmentation:
    kind = text(dataset, "SegmentationType")
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise ReadError("segment_kind", "its SegmentationType is none; expected BINARY, FRACTIONAL or LABELMAP")
    frames, rows, columns = whole(dataset, "NumberOfFrames", 1), whole(dataset, "Rows"), whole(dataset, "Columns")
    if min(frames, rows, columns) < 1 or frames * rows * columns > min(MAX_BYTES, free_memory()):
        raise ReadError("too_large", f"its header gives {frames} frames of {columns} x {rows}")
    described = tuple(_segments(dataset))
    if len({one.number for one in described}) < len(described):
        raise ReadError("segment_names", "two of its segments have the same number")
    segments = tuple(one for one in described if one.name)
    if not segments:
        raise ReadError("segment_names", "it describes no segment")
    groups = [*(dataset.get(PER_FRAME) or ()), *(dataset.get(SHARED) or ())]
    return Segmentation(
        path=path,
        kind=kind,
        segments=segments,
        series_uids=frozenset(
            filter(None, (text(one, "SeriesInstanceUID") for one in dataset.get("ReferencedSeriesSequence") or ()))
        ),
        source_uids=frozenset(uid for group in groups for uid in _sources(group)),
        frame_of_reference_uid=text(dataset, "FrameOfReferenceUID"),
        frames=frames,
        rows=rows,
        columns=columns,
        background=frozenset(one.number for one in described if not one.name),
    )


def _segments(dataset: Any) -> Iterator[Segment]:
    """Segments by the label that a person gave, else by their coded type; without a name the background."""
    words = [word for keyword in IDENTIFIERS for word in texts(dataset, keyword)]
    for item in dataset.get("SegmentSequence") or ():
        coded = next(iter(item.get("SegmentedPropertyTypeCodeSequence") or ()), None)
        name = text(item, "SegmentLabel") or (text(coded, "CodeMeaning") if coded is not None else "")
        name = without_identifiers(name, words).strip()
        index = whole(item, "SegmentNumber", -1)
        if index == 0 or name.casefold() == "background":
            yield Segment(index, "")
            continue
        if index < 0 or not name:
            raise ReadError("segment_names", f"its segment {index if index >= 0 else ''} has no name".replace("  ", " "))
        yield Segment(index, name)


def _sources(group: Any) -> Iterator[str]:
    for derivation in group.get("DerivationImageSequence") or ():
        for source in derivation.get("SourceImageSequence") or ():
            yield text(source, "ReferencedSOPInstanceUID")


def label_map(found: Sequence[Segmentation], series: Series, values: Mapping[str, int], halves: bool = False) -> Array:
    """The label map of a series; slices that no frame covers are background.

    Args:
        found: segmentations of this series, which may each hold other segments.
        series: the images.
        values: name of a segment -> value of the label.
        halves: whether fractional segments may be cut at half of their largest value.

    Returns:
        (X, Y, Z) on the grid of the series, uint8, or uint16 for values above 255.

    Raises:
        ReadError: "segments_overlap", "segments_fractional", "segments_off_grid", "damaged".
    """
    if max(values.values()) > np.iinfo(np.uint16).max:
        raise ReadError("segment_names", f"{len(values)} names of segments; expected at most 65535")
    kind = np.uint8 if max(values.values()) <= np.iinfo(np.uint8).max else np.uint16
    labels: Array = np.zeros(series.shape, kind)
    names = {value: name for name, value in values.items()}
    for segmentation in found:
        _same_frame_of_reference(segmentation, series)
        for name, index, mask in _planes(segmentation, series, halves):
            target = labels[:, :, index]
            taken = mask & (target != 0) & (target != values[name])
            if taken.any():
                x, y = (int(axis[0]) for axis in np.nonzero(taken))
                other = names[int(target[x, y])]
                raise ReadError(
                    "segments_overlap", f"its segments {other!r} and {name!r} overlap, first at voxel ({x}, {y}, {index})"
                )
            target[mask] = values[name]
    return labels


def _same_frame_of_reference(found: Segmentation, series: Series) -> None:
    theirs, ours = found.frame_of_reference_uid, series.frame_of_reference_uid
    if theirs and ours and theirs != ours:
        raise ReadError("segments_off_grid", "it is in another frame of reference than its images")


def _planes(found: Segmentation, series: Series, halves: bool) -> Iterator[tuple[str, int, Array]]:
    """(name, slice of the series, mask (X, Y)) of each stored frame that is not empty."""
    names = {segment.number: segment.name for segment in found.segments}
    with quiet():
        dataset, pixels = _stored(found)
        shared = next(iter(dataset.get(SHARED) or ()), None)
        largest = number(dataset, "MaximumFractionalValue", 255.0) or 0.0
        if found.kind == "FRACTIONAL" and largest < 1:
            raise ReadError("damaged", "its MaximumFractionalValue is none; expected 1 to 255")
        there: set[tuple[int, int]] = set()
        for group, plane in zip(dataset.get(PER_FRAME) or (), pixels, strict=True):
            if not plane.any():
                continue
            index, turned = placed(group, shared, plane, series)
            item = next(iter(item_of(group, shared, "SegmentIdentificationSequence") or ()), None)
            value = whole(item, "ReferencedSegmentNumber", -1) if item is not None else -1
            if (value, index) in there:
                raise ReadError("damaged", "two frames of one segment lie on the same image")
            there.add((value, index))
            if found.kind == "LABELMAP":
                if item is not None:
                    raise ReadError("segment_kind", "its SegmentationType is LABELMAP, and its frames are of single segments")
                yield from ((names[one], index, turned == one) for one in _known(np.unique(turned), names, found.background))
            elif value in names:
                yield names[value], index, _inside(turned, found.kind, largest, halves)
            elif value not in found.background:
                raise ReadError("damaged", f"a frame belongs to segment {value}, which is not described")


def _stored(found: Segmentation) -> tuple[Any, Array]:
    """The data set, and its pixels (frames, rows, columns), one for each frame that it describes.

    Raises:
        ReadError: "damaged", "no_decoder".
    """
    try:
        dataset = library().dcmread(found.path, force=True)
        syntax = str(dataset.file_meta.setdefault("TransferSyntaxUID", UNCOMPRESSED[0]).value)
        if syntax not in UNCOMPRESSED:
            require_decoder(syntax)
            check_codestream(dataset, Stream(found.rows, found.columns, 1, whole(dataset, "BitsAllocated", 8)), found.frames)
        pixels = np.asarray(dataset.pixel_array)
    except (MemoryError, ReadError):
        raise
    except Exception as error:  # pydicom has no one error class; its words may quote the file
        raise ReadError("damaged", f"its pixels cannot be decoded ({type(error).__name__})") from error
    if pixels.dtype.kind != "u":
        raise ReadError("damaged", "its pixels are not whole numbers from 0 upwards")
    pixels = pixels.reshape(-1, found.rows, found.columns)
    groups = len(dataset.get(PER_FRAME) or ())
    if groups != len(pixels):
        raise ReadError("damaged", f"it holds {len(pixels)} frames and describes {groups}")
    return dataset, pixels


def _known(values: Array, names: Mapping[int, str], background: Collection[int]) -> list[int]:
    found = [int(value) for value in values if value and value not in background]
    unknown = [value for value in found if value not in names]
    if unknown:
        raise ReadError("damaged", f"its pixels hold {unknown[0]}, and no segment has this number")
    return found


def _inside(plane: Array, kind: str, largest: float, halves: bool) -> Array:
    if kind == "FRACTIONAL" and not halves and ((plane > 0) & (plane < largest)).any():
        raise ReadError("segments_fractional", f"its segments are fractional, with values between 0 and {largest:g}")
    if kind == "BINARY" and len(np.unique(plane)) > 2:
        raise ReadError("damaged", "its SegmentationType is BINARY, and its pixels have several values")
    return plane >= HALF * largest if kind == "FRACTIONAL" else plane > 0
