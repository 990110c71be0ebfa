"""Masks of slices joined to masks of the volumes that `slices` cut."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np

from data_prep.amounts import few
from data_prep.atomic import new_folder
from data_prep.dead_links import absent
from data_prep.errors import DataError, EnvironmentFault
from data_prep.label_file import NAME as NAMES
from data_prep.on_grid import mask_file
from data_prep.quoting import quoted
from data_prep.reading import read_volume
from data_prep.scans import LABEL_FOLDER
from data_prep.slices import DIMS, across, check_places, volumes_in
from data_prep.volume import Array, ReadError

DESCRIBED = b"masks of slices, joined by monai_hybrid"
_SLICE = re.compile(r"(?P<case>.+)_slice(?P<number>\d{3,})(?:_seg)?\.nii(?:\.gz)?", re.IGNORECASE)


def join(source: str | Path, masks: str | Path, out: str | Path) -> int:
    """Join the masks of slices into a mask for each volume, on the volume's own grid, in a new folder.

    Args:
        source: the volumes that were cut, a folder or one file. Volumes of which no slice has a mask are passed over, and
            those in a folder of labels where there are others.
        masks: folder of `predict`, or of masks of that form: `p1_slice003_seg.nii.gz` of `p1.nii.gz`.
        out: a new folder; masks are called `p1_seg.nii.gz`, in the subfolders of the volumes.

    Returns:
        How many volumes.

    Raises:
        DataError: no such path, no mask of a slice of these volumes, a slice without its mask, or one on another grid.
        ConfigError: `out` is there already, or lies within the source.
        EnvironmentFault: no space or no right.
    """
    source, masks, out = Path(source), Path(masks), Path(out)
    check_places(source, out)
    known = _slices_of(masks)
    root = source if source.is_dir() else source.parent
    volumes = [file for file in volumes_in(source) if _plain(file) in known]
    scans = [file for file in volumes if not any(map(LABEL_FOLDER.fullmatch, file.relative_to(root).parts[:-1]))]
    own = {file: known[_plain(file)] for file in scans or volumes}
    names = [_plain(file) for file in own]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(
            f"{source}: several volumes are called {twice[0]}; whose slices these are cannot be told. Give one folder"
        )
    if not own:
        raise DataError(
            f"{masks}: no mask of a slice of {source}; expected names like p1_slice003_seg.nii.gz for p1.nii.gz. "
            f"Type: ls {quoted(masks)}"
        )
    try:
        with new_folder(out) as made:
            for file, slices in own.items():
                place = made / file.relative_to(root).parent
                place.mkdir(parents=True, exist_ok=True)
                content, target = _joined(file, slices, place / f"{_plain(file)}_seg")
                target.write_bytes(content)
            if (masks / NAMES).is_file():
                shutil.copyfile(masks / NAMES, made / NAMES)
    except OSError as error:
        raise EnvironmentFault(f"{error.filename or out}: {error.strerror or error}") from error
    return len(own)


def _plain(file: Path) -> str:
    return file.name[: file.name.lower().rindex(".nii")]


def _slices_of(masks: Path) -> dict[str, dict[int, Path]]:
    """Name of a volume -> number of a slice, from 0 -> its mask."""
    if not masks.is_dir():
        raise DataError(f"{masks}: {absent(masks, f'there is no such folder. Type: ls {quoted(masks.parent)}')}")
    found: dict[str, dict[int, Path]] = {}
    for file in volumes_in(masks):
        match = _SLICE.fullmatch(file.name)
        if match is None:
            continue
        slices, number = found.setdefault(match["case"], {}), int(match["number"])
        if number in slices:
            raise DataError(
                f"{masks}: {slices[number]} and {file} are of one slice; expected one mask for each. Give one folder"
            )
        slices[number] = file
    return found


def _joined(file: Path, slices: Mapping[int, Path], target: Path) -> tuple[bytes, Path]:
    _read(file)  # holds the header to the file before a library opens it
    volume = nib.load(file)
    if volume.ndim != DIMS:
        raise DataError(f"{file}: {volume.ndim} axes; expected a volume of three, as `slices` cuts")
    axis = across(volume)
    number = int(volume.shape[axis])
    if lacking := [f"{k:03d}" for k in range(number) if k not in slices]:
        raise DataError(f"{file}: {len(lacking)} of its {number} slices have no mask: {few(lacking)}. Segment them too")
    flat = tuple(1 if a == axis else int(size) for a, size in enumerate(volume.shape))
    parts = [_part(slices[k], flat) for k in range(number)]
    return mask_file(np.concatenate(parts, axis), file, target, volume.affine, DESCRIBED)


def _part(file: Path, shape: tuple[int, ...]) -> Array:
    mask = _read(file)
    if mask.size != int(np.prod(shape)) or [n for n in mask.shape if n > 1] != [n for n in shape if n > 1]:
        raise DataError(f"{file}: a mask of {mask.shape}; the slice of the volume has {shape}")
    return mask.reshape(shape)


def _read(file: Path) -> Array:
    try:
        return read_volume(file).array
    except ReadError as fault:
        raise DataError(f"{file}: {fault.seen}. Type: monai-hybrid check {quoted(file)}") from fault
