"""Masks of one structure each, in a folder a case, as TotalSegmentator writes them: read as one label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from data_prep.amounts import few
from data_prep.label_names import alike_name
from data_prep.quoting import printable
from data_prep.reading import extension, stem
from data_prep.structures import Joined, as_file
from data_prep.volume import ReadError
from monai_hybrid.errors import DataError


def mask_files(folder: Path) -> list[Path]:
    """The files of known formats in a folder, by name."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and extension(path) and path.is_file())


def structure_masks(folder: Path, structures: Mapping[str, int]) -> dict[str, Path]:
    """Structure -> its mask, of those that the data set has.

    Args:
        folder: of a case.
        structures: value of each, by the name that `alike_name` gives.

    Raises:
        DataError: it holds none of them, or two masks of one.
    """
    files = mask_files(folder)
    found: dict[str, Path] = {}
    for path in files:
        name = alike_name(stem(path))
        if name in found:
            raise DataError(
                f"{printable(str(folder))}: {printable(found[name].name)} and {printable(path.name)} are of one structure"
            )
        if name in structures:
            found[name] = path
    if not found:
        seen = few([printable(stem(path)) for path in files], 6) or "nothing"
        raise DataError(
            f"{printable(str(folder))}: no mask of {few(list(map(printable, structures)), 6)}; saw {seen}; expected files "
            "that are called like the structures of the data set"
        )
    return found


def joined_file(folder: Path, structures: Mapping[str, int], place: Path) -> Path:
    """Write the masks of a folder into `place` as one file, with the value of each structure; one without a mask is absent.

    Raises:
        DataError: as `structure_masks`; masks that overlap, cannot be read, or lie on several grids.
    """
    try:
        label = Joined(folder, structure_masks(folder, structures), structures)()
    except ReadError as fault:
        raise DataError(f"{printable(str(folder))}: {printable(fault.seen)}") from fault
    file = place / f"label{'.png' if label.affine is None else '.nii.gz'}"
    file.write_bytes(as_file(label))
    return file
