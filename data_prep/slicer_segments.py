"""Segmentations of 3D Slicer (`.seg.nrrd`): each file numbers its segments as they were drawn, so labels follow their names.

The fields `SegmentN_Name`, `SegmentN_LabelValue` and `SegmentN_Layer` of the header are those of 3D Slicer's documentation of
segmentation files; files of before 2020 have a layer of 0 and 1 for each segment, and state neither value nor layer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.amounts import few
from data_prep.cases import Case, Source
from data_prep.errors import ConfigError, DataListError
from data_prep.itk import itk_image, ras_affine, simple_itk
from data_prep.itk_header import LONGEST_HEADER
from data_prep.label_names import BACKGROUND, LONGEST, alike_name, parse_option
from data_prep.part_of_grid import on_whole_grid
from data_prep.reading import read_volume, size_of
from data_prep.structure_names import LARGEST, names_of
from data_prep.volume import Array, ReadError, Volume

ENDING = ".nrrd"
_FIELD = re.compile(r"Segment(?P<number>\d{1,4})_(?P<key>Name|LabelValue|Layer):=(?P<value>.*)")


@dataclass(frozen=True)
class Segment:
    """Its name, its value and the layer of the file that has it."""

    name: str
    value: int
    layer: int


def segments_of(path: Path, shown: str = "") -> tuple[Segment, ...]:
    """The segments that the header of an NRRD file names; none where it names none or cannot be read.

    `shown` is what the file is called in an error; its path where nothing is said.

    Raises:
        DataListError: two segments of one name, or a name that cannot be told to others.
    """
    try:
        with path.open("rb") as file:
            head = file.read(LONGEST_HEADER)
    except OSError:  # reading it says what is wrong
        return ()
    lines = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0].decode("utf-8", "replace").splitlines()
    fields: dict[int, dict[str, str]] = {}
    for line in lines if head.startswith(b"NRRD") else []:
        if match := _FIELD.fullmatch(line):
            fields.setdefault(int(match["number"]), {})[match["key"]] = match["value"].strip()
    stated = any("LabelValue" in own for own in fields.values())
    found = []
    for order, (_, own) in enumerate(sorted((number, own) for number, own in fields.items() if own.get("Name"))):
        value, layer = own.get("LabelValue", "" if stated else "1"), own.get("Layer", "0" if stated else str(order))
        if value.isdecimal() and layer.isdecimal() and alike_name(own["Name"]) != BACKGROUND:
            found.append(Segment(own["Name"], int(value), int(layer)))
    _check(found, shown or str(path))
    return tuple(found)


def _check(segments: Sequence[Segment], file: str) -> None:
    names = [alike_name(segment.name) for segment in segments]
    for segment in segments:
        if names.count(alike_name(segment.name)) > 1:
            raise DataListError("D550", f"{file}: two segments are called {segment.name!r}; expected each name once", file)
        if len(segment.name) > LONGEST or not segment.name.isprintable():
            seen = f"a segment is called {segment.name[:40]!r}"
            raise DataListError("D550", f"{file}: {seen}; expected at most {LONGEST} printable characters", file)


@dataclass(frozen=True)
class BySegment:
    """Reads a segmentation as one label; `values` of the segments by name, as `alike_name` has it.

    `image` reads what it was drawn on, where the file may hold a part of that grid alone.
    """

    place: Path
    values: Mapping[str, int]
    image: Callable[[], Volume] | None = None

    def __call__(self) -> Volume:
        """The label, uint8 or uint16, on the grid of its image where it is a part of it, else on that of the file; a segment
        without a value is background.

        Raises:
            ReadError: it cannot be read, or has other layers than its header says; "structures_overlap": a voxel would need
                two labels.
        """
        stored = _layers(self.place)
        kind = np.uint8 if max(self.values.values(), default=0) < 256 else np.uint16
        label = np.zeros(stored.array.shape[:3], kind)
        owner: dict[int, str] = {}
        segments = segments_of(self.place)
        for layer in range(stored.array.shape[3]):
            known = [0, *(one.value for one in segments if one.layer == layer)]
            if nameless := sorted(set(np.unique(stored.array[..., layer]).tolist()) - set(known)):
                raise ReadError("damaged", f"it holds the value {nameless[0]:g}, which is none of its segments")
        for segment in segments:
            if (value := self.values.get(alike_name(segment.name))) is None:
                continue
            if segment.layer >= stored.array.shape[3]:
                raise ReadError(
                    "voxel_type", f"{segment.name!r} is said to lie in layer {segment.layer} of {stored.array.shape[3]}"
                )
            inside = stored.array[..., segment.layer] == segment.value
            shared = inside & (label > 0)
            if shared.any():
                index = tuple(int(at) for at in np.argwhere(shared)[0])
                other = owner[int(label[index])]
                seen = (
                    f"{other!r} and {segment.name!r} share {int(shared.sum())} voxels, first at {index}; expected each in one"
                )
                raise ReadError("structures_overlap", seen)
            owner[value] = segment.name
            label[inside] = value
        label_of_file = replace(stored, array=label, pixel_type=str(label.dtype))
        return (on_whole_grid(self.image(), label_of_file, from_corner=True) if self.image else None) or label_of_file


def _layers(path: Path) -> Volume:
    """(X, Y, Z, layers), affine to RAS in mm."""
    if all(segment.layer == 0 for segment in segments_of(path)):
        volume = read_volume(path)
        return replace(volume, array=volume.array[..., None])
    image, voxels = itk_image(path)
    array: Array = np.moveaxis(simple_itk().GetArrayFromImage(image), (0, 1, 2), (2, 1, 0))  # SimpleITK gives (Z, Y, X, layers)
    return Volume(
        path, array if array.ndim == 4 else array[..., None], ras_affine(image), str(array.dtype), _digest(path, voxels)
    )


def _digest(path: Path, voxels: bytes) -> str:
    return hashlib.sha256(path.read_bytes() + voxels).hexdigest()


def by_segments(raw: Source, label_names: str | Mapping[int, str] | None) -> Source:
    """Take names and values of labels from the segments that their files name.

    Where a value means the same in each file, the files stay as they are. Else a label is read by the names of its segments.

    Args:
        raw: as its layout declares it.
        label_names: value -> name, as stated; names of segments say which are meant.

    Raises:
        ConfigError: a stated name is no segment, where others are or where values mean other segments in each file.
        DataListError: values mean other segments in each file, and others of the labels name none.
    """
    labels = {case.label: case for case in raw.cases if case.label is not None and case.label not in raw.volumes}
    shown = {
        path: f"the mask of {case.case_id}" if raw.series else str(path) for path, case in labels.items()
    }  # of DICOM no name
    found = {path: segments_of(path, shown[path]) for path in labels if path.name.lower().endswith(ENDING)}
    found = {path: segments for path, segments in found.items() if segments}
    if not found:
        return raw
    spelled = {alike_name(one.name): one.name for segments in reversed(list(found.values())) for one in segments}
    stated = parse_option(label_names) if label_names else dict({} if raw.table_of_names else raw.label_names or {})
    asked = {value: name for value, name in stated.items() if value and alike_name(name) in spelled}
    strange = [name for value, name in stated.items() if value and value not in asked]
    same = _same_values(found.values())
    layered = any(one.layer for segments in found.values() for one in segments)
    why = "segments lie in several layers" if layered else "their values differ from file to file"
    if strange and not asked and same is not None:
        return raw  # the user names the values, which mean the same in each file
    if strange:
        there = f"no segment is called {strange[0]!r}; there are {few(sorted(spelled.values()), most=12)}"
        more = "" if same is not None else f". {why[0].upper()}{why[1:]}, so that values cannot be named"
        raise ConfigError(f"--label-names: {there}{more}")
    table = {alike_name(name): value for value, name in asked.items()} if asked else same or _numbered(spelled)
    if max(table.values()) > LARGEST:
        raise ConfigError(f"--label-names: the value {max(table.values())}; a label holds at most {LARGEST}")
    unnamed = [path for path in labels if path not in found]
    renumbered = [path for path, segments in found.items() if not _as_stored(segments, table)]
    if renumbered and unnamed:
        _refuse_mixed(raw, shown[unnamed[0]], spelled)
    images = {path: image for path in found if (image := _drawn_on(raw, labels[path], path)) is not None}
    volumes = {path: BySegment(path, table, images.get(path)) for path in found if path in renumbered or path in images}
    names = names_of({spelled[name]: value for name, value in sorted(table.items(), key=lambda item: item[1])})
    said = f"labels are called as the segments of {len(found)} files: {few(list((names or {}).values())[1:])}"
    if renumbered and same is None and not asked:
        said += f"; {why}, so labels are written anew by the names"
    if images:
        said += f"; {len(images)} hold a part of their image's grid, and are written on all of it"
    return replace(
        raw,
        label_names=names,
        notes=(*raw.notes, said),
        volumes={**raw.volumes, **volumes},
        table_of_names=raw.table_of_names or not stated,
    )


def _same_values(files: Iterable[Sequence[Segment]]) -> dict[str, int] | None:
    """Name -> value, where a name has one value and a value one name in all files; None otherwise, or with several layers."""
    values: dict[str, int] = {}
    names: dict[int, str] = {}
    for segments in files:
        for segment in segments:
            name = alike_name(segment.name)
            if segment.layer or not segment.value:
                return None
            if values.setdefault(name, segment.value) != segment.value or names.setdefault(segment.value, name) != name:
                return None
    return values


def _drawn_on(raw: Source, case: Case, path: Path) -> Callable[[], Volume] | None:
    """Reads the image of a segmentation that has another size, as 3D Slicer saves it cropped to its segments; else None."""
    image = case.images[0]
    if (series := raw.series.get(case.case_id)) is not None:
        size: tuple[int, ...] | None = series.shape
    else:
        size = None if image in raw.volumes else size_of(image)
    own = size_of(path)
    if size is None or own is None or sorted(own[-3:]) == sorted(size[:3]):  # layers come first in the file
        return None
    return raw.volumes.get(image, partial(read_volume, image))


def _numbered(spelled: Mapping[str, str]) -> dict[str, int]:
    return {name: value for value, name in enumerate(sorted(spelled), start=1)}


def _as_stored(segments: Sequence[Segment], table: Mapping[str, int]) -> bool:
    """Whether the file holds these values already, in one layer."""
    return all(one.layer == 0 and table.get(alike_name(one.name)) == one.value for one in segments)


def _refuse_mixed(raw: Source, other: str, spelled: Mapping[str, str]) -> None:
    raise DataListError(
        "D550",
        f"{raw.root}: labels follow the names of segments ({few(sorted(spelled.values()))}), and {other} names none. "
        f"Save it as a segmentation of 3D Slicer (.seg.nrrd) too, with these names",
        str(raw.root),
    )
