"""Volumes cut into slices, for a 2D model: each is a NIfTI file of one slice that keeps its place in the patient."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.amounts import few
from data_prep.atomic import new_folder
from data_prep.dead_links import absent
from data_prep.errors import ConfigError, DataError, EnvironmentFault
from data_prep.flat import flat_axis
from data_prep.free_names import free, proposed
from data_prep.label_affixes import of_mask_beside
from data_prep.places import refuse_special
from data_prep.quoting import quoted
from data_prep.to_cut import DIMS, SLICES, ToCut, to_cut

NAMES = ("labels.json", "labels.txt")  # of structures; they hold for slices as well


class Cut(NamedTuple):
    """How many volumes were cut into how many slices, and a sentence for each file or series that was left out."""

    volumes: int
    slices: int
    left_out: tuple[str, ...]


def cut(source: str | Path, out: str | Path, series: str | None = None) -> Cut:
    """Cut every volume of a folder, or one file, into a new folder of the same subfolders.

    The slices are those in which a volume was taken: across its longest voxels, of equal ones along its last axis. Slice 3 of
    `p1.nii.gz`, counted from 0, is `p1_slice003.nii.gz`, that of `p1_seg.nii.gz` `p1_slice003_seg.nii.gz`, with the affine of
    its place. Names of structures are copied. Those of a DICOM series are its own, called like its case.

    Args:
        source: folder, or one file, of the formats of `to_cut`. Hidden files are left out, and those of other than three axes.
        out: a new folder outside of it.
        series: which DICOM series are meant, as with `build`.

    Raises:
        DataError: no such path, no volume in it, or one that is damaged; nothing is written then.
        ConfigError: `out` is there already, or lies within the source; or no such series.
        EnvironmentFault: no space or no right, or the format needs a library that is not installed.
    """
    source, out = Path(source), Path(out)
    check_places(source, out)
    root = source if source.is_dir() else source.parent
    found, left_out = to_cut(source, series)
    numbers = []
    try:
        with new_folder(out) as made:
            for one in found:
                if isinstance(image := one.image(), str):
                    left_out.append(image)
                else:
                    numbers.append(_cut(image, one, made / one.folder))
            if not numbers:
                raise DataError(few(left_out, between="; "))
            for file in (root / name for name in NAMES if (root / name).is_file()):
                shutil.copyfile(file, made / file.name)
    except OSError as error:
        raise EnvironmentFault(f"{error.filename or out}: {error.strerror or error}") from error
    return Cut(len(numbers), sum(numbers), tuple(left_out))


def check_places(source: Path, out: Path) -> None:
    """Refuse a source that is not there, and an output that is there or lies within it.

    Raises:
        DataError, ConfigError: as `cut`.
    """
    if not source.exists():
        raise DataError(f"{source}: {absent(source, f'there is no such file or folder. Type: ls {quoted(source.parent)}')}")
    refuse_special(source)
    if out.exists() or out.is_symlink():
        raise ConfigError(f"--output {out}: it exists; expected the name of a new folder. Type: --output {quoted(free(out))}")
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise ConfigError(f"--output {out}: it lies within {source}. Type: --output {quoted(proposed(source, SLICES))}")


def _cut(image: Any, one: ToCut, to: Path) -> int:
    """The slices of one volume; how many there are."""
    axis = across(image, one)
    to.mkdir(parents=True, exist_ok=True)
    for k in range(image.shape[axis]):
        part = tuple(slice(k, k + 1) if a == axis else slice(None) for a in range(DIMS))
        image.slicer[part].to_filename(to / _name(one.name, k))
    return int(image.shape[axis])


def across(image: Any, one: ToCut) -> int:
    """The axis of a volume that is cut: its longest voxels, of equal ones the last; of a DICOM series always the last.

    A volume of one slice stays that slice.
    """
    if one.read is not None:
        return DIMS - 1
    if (flat := flat_axis(image.shape)) is not None:
        return flat
    lengths = [round(float(length), 3) for length in image.header.get_zooms()[:DIMS]]
    return max(range(DIMS), key=lambda axis: (lengths[axis], axis))


def _name(name: str, k: int) -> str:
    """`p1_slice003.nii.gz`; a word for a mask stays at the end, where masks are known by it: `p1_slice003_seg.nii.gz`."""
    case = next((rest for rest in of_mask_beside(name) if name.startswith(rest)), name)
    return f"{case}_slice{k:03d}{name[len(case) :]}.nii.gz"


def line(folder: str | Path) -> str:
    """The command that does it, as a line to type."""
    return f"monai-hybrid slices {quoted(folder)} --output {quoted(proposed(Path(folder), SLICES))}"
