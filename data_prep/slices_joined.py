"""Masks of slices joined to masks of the volumes that `slices` cut."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

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
from data_prep.slices import across, check_places
from data_prep.to_cut import ToCut, to_cut, volumes_in
from data_prep.volume import Array, ReadError

DESCRIBED = b"masks of slices, joined by monai_hybrid"
_SLICE = re.compile(r"(?P<case>.+)_slice(?P<number>\d{3,})(?P<after>.*?)(?:_seg)?\.nii(?:\.gz)?", re.IGNORECASE)


def join(source: str | Path, masks: str | Path, out: str | Path, series: str | None = None) -> int:
    """Join the masks of slices into a mask for each volume, on the volume's own grid, in a new folder.

    Args:
        source: the volumes that were cut, a folder or one file, of any format of `to_cut`. Volumes of which no slice has a mask
            are passed over, and masks beside them.
        masks: folder of `predict`, or of masks of that form: `p1_slice003_seg.nii.gz` of `p1.nii.gz`, and of the channels
            `p1_t1.nii.gz` and `p1_flair.nii.gz`.
        out: a new folder; masks are called `p1_seg.nii.gz`, beside each other as those of `predict`.
        series: which DICOM series were cut.

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
    found = {one.file: one for one in to_cut(source, series)[0]}
    volumes = [(name, _cut_like(one, found), one) for one in found.values() for name in _names(one, known)]
    own = [(name, like) for name, like, one in volumes if not _is_label(one)] or [parts[:2] for parts in volumes]
    names = [name for name, _ in own]
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
            for name, one in own:
                content, target = _joined(one, known[name], made / f"{name}_seg")
                target.write_bytes(content)
            if (masks / NAMES).is_file():
                shutil.copyfile(masks / NAMES, made / NAMES)
    except OSError as error:
        raise EnvironmentFault(f"{error.filename or out}: {error.strerror or error}") from error
    return len(own)


def _names(one: ToCut, known: Collection[str]) -> list[str]:
    """What `predict` called a volume: like its file, with the folder of its case, or like its case where channels are one."""
    whole = one.slot.case + one.slot.after.replace("/", "__")
    names = (whole,) if one.slot.of else (whole, one.slot.case)
    return [name for name in dict.fromkeys(names) if name in known]


def _cut_like(one: ToCut, found: Mapping[Path, ToCut]) -> ToCut:
    """The volume in whose voxel order this one was cut."""
    return found.get(one.slot.of, one) if one.slot.of and not one.slot.loose else one


def _is_label(one: ToCut) -> bool:
    return one.slot.mask or any(map(LABEL_FOLDER.fullmatch, one.slot.before.split("/")[:-1]))


def _slices_of(masks: Path) -> dict[str, dict[int, Path]]:
    """Name of a volume -> number of a slice, from 0 -> its mask."""
    if not masks.is_dir():
        raise DataError(f"{masks}: {absent(masks, f'there is no such folder. Type: ls {quoted(masks.parent)}')}")
    found: dict[str, dict[int, Path]] = {}
    for file in volumes_in(masks):
        match = _SLICE.fullmatch(file.name)
        if match is None:
            continue
        slices, number = found.setdefault(match["case"] + match["after"], {}), int(match["number"])
        if number in slices:
            raise DataError(
                f"{masks}: {slices[number]} and {file} are of one slice; expected one mask for each. Give one folder"
            )
        slices[number] = file
    return found


def _joined(one: ToCut, slices: Mapping[int, Path], target: Path) -> tuple[bytes, Path]:
    volume = one.image()
    if isinstance(volume, str):
        raise DataError(f"{volume}, as `slices` cuts")
    axis = across(volume, one)
    number = int(volume.shape[axis])
    if lacking := [f"{k:03d}" for k in range(number) if k not in slices]:
        raise DataError(f"{one.shown}: {len(lacking)} of its {number} slices have no mask: {few(lacking)}. Segment them too")
    flat = tuple(1 if a == axis else int(size) for a, size in enumerate(volume.shape))
    parts = [_part(slices[k], flat) for k in range(number)]
    return mask_file(np.concatenate(parts, axis), one.file, target, volume.affine, DESCRIBED)


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
