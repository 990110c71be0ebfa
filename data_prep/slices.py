"""Volumes cut into slices, for a 2D model: each is a NIfTI file of one slice that keeps its place in the patient."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib

from data_prep.atomic import new_folder
from data_prep.dead_links import absent
from data_prep.errors import ConfigError, DataError, EnvironmentFault
from data_prep.free_names import free, proposed
from data_prep.label_affixes import of_mask_beside
from data_prep.places import refuse_special
from data_prep.quoting import quoted
from data_prep.reading import read_volume
from data_prep.volume import ReadError

NIFTI = (".nii", ".nii.gz")
NAMES = ("labels.json", "labels.txt")  # of structures; they hold for slices as well
ENDING = "_slices"
DIMS = 3


def is_nifti(file: str | Path) -> bool:
    """Whether this module reads such a file, by its name."""
    return str(file).lower().endswith(NIFTI)


def cut(source: str | Path, out: str | Path) -> tuple[int, int]:
    """Cut every NIfTI volume of a folder, or one file, into a new folder of the same subfolders.

    The slices are those in which a volume was taken: across its longest voxels, of equal ones along its last axis. Slice 3 of
    `p1.nii.gz`, counted from 0, is `p1_slice003.nii.gz`, that of `p1_seg.nii.gz` `p1_slice003_seg.nii.gz`, with the affine of
    its place. Names of structures are copied.

    Args:
        source: folder, or one file. Hidden files are left out.
        out: a new folder outside of it.

    Returns:
        How many volumes, how many slices.

    Raises:
        DataError: no such path, no volume in it, or one that is damaged or has not three axes; nothing is written then.
        ConfigError: `out` is there already, or lies within the source.
        EnvironmentFault: no space or no right.
    """
    source, out = Path(source), Path(out)
    check_places(source, out)
    root = source if source.is_dir() else source.parent
    files = list(volumes_in(source))
    if not files:
        raise DataError(f"{source}: no NIfTI file; expected .nii or .nii.gz. DICOM becomes NIfTI by monai-hybrid build")
    try:
        with new_folder(out) as made:
            number = sum(_cut(file, made / file.relative_to(root).parent) for file in files)
            for file in (root / name for name in NAMES if (root / name).is_file()):
                shutil.copyfile(file, made / file.name)
    except OSError as error:
        raise EnvironmentFault(f"{error.filename or out}: {error.strerror or error}") from error
    return len(files), number


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
        raise ConfigError(f"--output {out}: it lies within {source}. Type: --output {quoted(proposed(source, ENDING))}")


def volumes_in(source: Path) -> Iterator[Path]:
    """The NIfTI files of a folder and the folders within, or the one file; hidden ones are left out."""
    if source.is_file():
        yield from [source] * is_nifti(source)
        return
    for file in sorted(source.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(source).parts)
        if not hidden and is_nifti(file) and file.is_file():
            yield file


def _cut(file: Path, to: Path) -> int:
    """The slices of one volume; how many there are."""
    try:
        axes = read_volume(file).array.ndim  # holds the header to the file before a library opens it
    except ReadError as fault:
        raise DataError(f"{file}: {fault.seen}. Type: monai-hybrid check {quoted(file)}") from fault
    if axes != DIMS:
        raise DataError(f"{file}: {axes} axes; expected a volume of three. Take it out of the folder: mv {quoted(file)} ..")
    image = nib.load(file)
    axis = across(image)
    to.mkdir(parents=True, exist_ok=True)
    for k in range(image.shape[axis]):
        part = tuple(slice(k, k + 1) if a == axis else slice(None) for a in range(DIMS))
        image.slicer[part].to_filename(to / _name(file, k))
    return int(image.shape[axis])


def across(image: Any) -> int:
    """The axis of a volume that is cut: its longest voxels, of equal ones the last."""
    lengths = [round(float(length), 3) for length in image.header.get_zooms()[:DIMS]]
    return max(range(DIMS), key=lambda axis: (lengths[axis], axis))


def _name(file: Path, k: int) -> str:
    """`p1_slice003.nii.gz`; a word for a mask stays at the end, where masks are known by it: `p1_slice003_seg.nii.gz`."""
    name = file.name[: file.name.lower().rindex(".nii")]
    case = next((rest for rest in of_mask_beside(name) if name.startswith(rest)), name)
    return f"{case}_slice{k:03d}{name[len(case) :]}.nii.gz"


def line(folder: str | Path) -> str:
    """The command that does it, as a line to type."""
    return f"monai-hybrid slices {quoted(folder)} --output {quoted(proposed(Path(folder), ENDING))}"
