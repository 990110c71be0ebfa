"""Masks of one structure each, in a folder a case, as TotalSegmentator writes them, or a folder a structure, as one label."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from data_prep.amounts import few
from data_prep.label_names import alike_name
from data_prep.quoting import printable
from data_prep.reading import extension, read_volume, size_of, stem
from data_prep.slicer_segments import ENDING, BySegment, segments_of
from data_prep.structure_names import take_name
from data_prep.structures import Joined, as_file
from data_prep.volume import ReadError
from monai_hybrid.errors import DataError


def mask_files(folder: Path) -> list[Path]:
    """The files of known formats in a folder, by name."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and extension(path) and path.is_file())


def structure_masks(folder: Path, structures: Mapping[str, int], named: Mapping[str, Path] | None = None) -> dict[str, Path]:
    """Structure -> its mask, of those that the data set has.

    Args:
        folder: of a case, or where the folders of structures lie.
        structures: value of each, by the name that `alike_name` gives.
        named: the masks by the names of their folders; None: by their own.

    Raises:
        DataError: it holds none of them, or two masks of one: the sentence of `build`.
    """
    files = list(named.items()) if named else [(stem(path), path) for path in mask_files(folder)]
    found: dict[str, Path] = {}
    for called, path in files:
        if alike_name(called) in structures:
            take_name(called, path, found, folder)
    if not found:
        seen = few([printable(called) for called, _ in files], 6) or "nothing"
        raise DataError(
            f"{printable(str(folder))}: no mask of {few(list(map(printable, structures)), 6)}; saw {seen}; expected "
            f"{'folders' if named else 'files'} that are called like the structures of the data set"
        )
    return found


def joined_file(folder: Path, masks: Mapping[str, Path], structures: Mapping[str, int], place: Path) -> Path:
    """Write masks, as `structure_masks` gives them, into `place` as one file, with the value of each structure; one without a
    mask is absent.

    Raises:
        DataError: masks overlap, cannot be read, or lie on several grids.
    """
    return _written(Joined(folder, masks, structures), folder, place)


def follows_segments(file: Path, structures: Mapping[str, int]) -> bool:
    """Whether a mask is a segmentation of 3D Slicer with a segment of the data set: its values are of this file alone."""
    return file.name.lower().endswith(ENDING) and any(alike_name(one.name) in structures for one in segments_of(file))


def one_segmentation(folder: Path, images: Collection[str]) -> Path | None:
    """The segmentation of 3D Slicer that a folder of a case holds, alone or beside images of these names; else None."""
    files = [path for path in mask_files(folder) if path.name not in images]
    return files[0] if len(files) == 1 and files[0].name.lower().endswith(ENDING) and segments_of(files[0]) else None


def by_segments_file(file: Path, structures: Mapping[str, int], place: Path, label: Path | None = None) -> Path:
    """Write a segmentation of 3D Slicer into `place`, with the value of each structure; other segments are background.

    One that holds a part of the grid of `label` gets all of it.

    Raises:
        DataError: segments overlap, or it cannot be read.
    """
    grid = partial(read_volume, label) if label is not None and size_of(file) != size_of(label) else None
    return _written(BySegment(file, structures, grid), file, place)


def _written(reader: Joined | BySegment, where: Path, place: Path) -> Path:
    try:
        label = reader()
    except ReadError as fault:
        raise DataError(f"{printable(str(where))}: {printable(fault.seen)}") from fault
    file = place / f"label{'.png' if label.affine is None else '.nii.gz'}"
    file.write_bytes(as_file(label))
    return file
