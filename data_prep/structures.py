"""Masks of structures in a file each (`liver.nii.gz`, `spleen.nii.gz`), joined into one label."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.cases import Case, Source
from data_prep.colour import as_label
from data_prep.errors import DataError
from data_prep.geometry import corner_distance, is_invertible
from data_prep.new_nifti import new_nifti
from data_prep.pictures import LARGEST_VALUE, png_mask
from data_prep.reading import read_volume
from data_prep.volume import Affine, Array, ReadError, Volume
from data_prep.voxel_order import TOLERANCE
from data_prep.written_labels import LabelFile, write_labels

FOLDER = "labels"  # in the prepared folder: what masks of structures were joined into


@dataclass(frozen=True)
class Joined:
    """Reads the masks of a case as one label: 0 where no mask is, else the value of the structure.

    Attributes:
        place: what stands for the files.
        files: structure -> its mask, 0 outside and one other value inside.
        values: structure -> its value in the label. A structure without a file is absent; a file without a value is not read.
    """

    place: Path
    files: Mapping[str, Path]
    values: Mapping[str, int]

    def __call__(self) -> Volume:
        """The label, uint8, or uint16 where values ask for it, on the grid of the masks; all 0 without one that is asked for.

        Raises:
            ReadError: a file cannot be read; "structure_mask": it is no mask of one structure, or lies on another grid;
                "structures_overlap": a voxel would need two labels.
        """
        label: Array | None = None
        first: Volume | None = None
        digests = hashlib.sha256()
        for name, value in self.values.items():
            if name not in self.files:
                continue
            mask = _mask(self.files[name])
            digests.update(mask.digest.encode())
            if first is None or label is None:
                first, label = mask, np.zeros(mask.shape, np.uint8 if max(self.values.values()) < 256 else np.uint16)
            _same_grid(first, mask)
            inside = mask.channel(0) != 0
            self._refuse_shared(label, inside, name, mask.cells)
            label[inside] = value
        if first is None or label is None:  # any other mask has the grid
            first = _mask(next(iter(self.files.values())))
            label = np.zeros(first.shape, np.uint8)
            digests.update(first.digest.encode() + b"0")
        return Volume(self.place, label, first.affine, str(label.dtype), digests.hexdigest(), dims=first.dims)

    def _refuse_shared(self, label: Array, inside: Array, name: str, cells: str) -> None:
        shared = inside & (label > 0)
        if shared.any():
            index = tuple(int(at) for at in np.argwhere(shared)[0])
            other = next(known for known, value in self.values.items() if value == label[index])
            seen = f"{other!r} and {name!r} share {int(shared.sum())} {cells}, first at {index}; expected each in one mask"
            raise ReadError("structures_overlap", seen)


def _mask(path: Path) -> Volume:
    try:
        mask = as_label(read_volume(path))
    except ReadError as fault:
        raise ReadError(fault.kind, fault.seen, path) from fault
    if mask.channels > 1:
        raise ReadError("structure_mask", f"{path.name} has {mask.channels} values in each {mask.cells[:-1]}; expected one")
    values = np.unique(mask.array)
    if len(values) > 2 or (len(values) == 2 and values[0] != 0) or not np.isfinite(values).all():
        seen = ", ".join(f"{value:g}" for value in values[:6]) + (", ..." if len(values) > 6 else "")
        raise ReadError("structure_mask", f"{path.name} has the values {seen}; expected 0 outside and one value inside")
    return mask


def _same_grid(first: Volume, mask: Volume) -> None:
    if first.shape != mask.shape:
        raise ReadError("structure_mask", f"{mask.path.name} has shape {mask.shape}; {first.path.name} has {first.shape}")
    a, b = first.affine, mask.affine
    if a is None or b is None or not (is_invertible(a) and is_invertible(b)):
        return  # what the label's own checks say of it
    distance, edge = corner_distance(a, b, first.shape), float(np.linalg.norm(a[:3, :3], axis=0).min())
    if distance > TOLERANCE * edge:
        raise ReadError("structure_mask", f"{mask.path.name} lies {distance:.3g} mm away from {first.path.name}")


def label_files(raw: Source, case: Case) -> tuple[Path, ...]:
    """The files of a case's label: one, or a mask for each structure; none where it has no label."""
    if case.label is None:
        return ()
    reader = raw.volumes.get(case.label)
    return tuple(reader.files.values()) if isinstance(reader, Joined) else (case.label,)


def write_joined(raw: Source, cases: Sequence[Case], folder: Path) -> dict[str, Path]:
    """Write the joined labels, named like their cases; by case, the file. NIfTI, and PNG for pictures.

    Raises:
        ConfigError: the folder holds files of somebody else's.
        DataError: one cannot be read.
        EnvironmentFault: no space or no right.
    """
    return write_labels(_joined(raw, cases), folder, "labels joined from masks of structures", new=True)


def _joined(raw: Source, cases: Sequence[Case]) -> Iterator[LabelFile]:
    for case in cases:
        reader = raw.volumes.get(case.label) if case.label is not None else None
        if reader is None:
            continue
        try:
            label = reader()
        except ReadError as fault:
            raise DataError(f"{fault.file or case.label}: {fault.seen}") from fault
        yield LabelFile(case.case_id, f"{case.case_id}{'.png' if label.affine is None else '.nii.gz'}", as_file(label))


def as_file(label: Volume) -> bytes:
    """A label as the bytes of a NIfTI file, and of PNG where it has no geometry."""
    return _as_png(label.array) if label.affine is None else as_nifti(label.array, label.affine)


def _as_png(array: Array) -> bytes:
    if int(array.max(initial=0)) > LARGEST_VALUE:
        raise DataError(f"a label value of {int(array.max())}; PNG holds at most {LARGEST_VALUE}")
    stream = io.BytesIO()
    png_mask(array).save(stream, format="PNG")
    return stream.getvalue()


def as_nifti(voxels: Array, affine: Affine) -> bytes:
    """A compressed NIfTI file of (X, Y, Z) voxels; see `new_nifti`."""
    return gzip.compress(new_nifti(voxels, affine).to_bytes(), 6, mtime=0)
