"""Volumes cut into slices, for a 2D model: each is a NIfTI file of one slice that keeps its place in the patient."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_prep.amounts import few
from data_prep.atomic import new_folder
from data_prep.dead_links import absent
from data_prep.errors import ConfigError, DataError, EnvironmentFault
from data_prep.flat import flat_axis
from data_prep.free_names import free, proposed
from data_prep.geometry import corner_distance, is_invertible
from data_prep.layouts.common import raw_dataset_json
from data_prep.places import refuse_special
from data_prep.quoting import quoted
from data_prep.to_cut import DIMS, SLICES, ToCut, to_cut
from data_prep.volume import Affine
from data_prep.voxel_order import TOLERANCE, order_of

NAMES = ("labels.json", "labels.txt")  # of structures; they hold for slices as well


class Cut(NamedTuple):
    """How many volumes were cut into how many slices, and a sentence for each file or series that was left out."""

    volumes: int
    slices: int
    left_out: tuple[str, ...]


class Grid(NamedTuple):
    """Of the image of a case: affine (4, 4) voxel -> mm, shape, and the axis that is cut."""

    affine: Affine
    shape: tuple[int, ...]
    axis: int


def cut(source: str | Path, out: str | Path, series: str | None = None) -> Cut:
    """Cut every volume of a folder, or one file, into a new folder of the same subfolders.

    The slices are those in which a volume was taken: across its longest voxels, of equal ones along its last axis. Slice 3 of
    `p1.nii.gz`, counted from 0, is `p1_slice003.nii.gz`, that of `p1_seg.nii.gz` `p1_slice003_seg.nii.gz`, of its channel
    `p1_t1.nii.gz` `p1_slice003_t1.nii.gz`, with the affine of its place. Masks and further channels are cut in the voxel order
    of their image. Names of structures are copied. Those of a DICOM series are its own, called like its case.

    Args:
        source: folder, or one file, of the formats of `to_cut`. Hidden files are left out, and those of other than three axes.
        out: a new folder outside of it.
        series: which DICOM series are meant, as with `build`.

    Raises:
        DataError: no such path, no volume in it, one that is damaged, or one on another grid than its image; nothing is
            written then.
        ConfigError: `out` is there already, or lies within the source; or no such series.
        EnvironmentFault: no space or no right, or the format needs a library that is not installed.
    """
    source, out = Path(source), Path(out)
    check_places(source, out)
    root = source if source.is_dir() else source.parent
    found, left_out = to_cut(source, series)
    numbers = []
    grids: dict[Path, Grid] = {}
    try:
        with new_folder(out) as made:
            for one in sorted(found, key=lambda one: one.slot.of is not None):  # images before what has to lie on them
                if isinstance(image := one.image(), str):
                    left_out.append(image)
                    continue
                grid = grids.get(one.slot.of) if one.slot.of and not one.slot.loose else None
                if grid is None:
                    grid = grids[one.file] = Grid(image.affine, image.shape, across(image, one))
                numbers.append(_cut(_on(grid, image, one), one, grid.axis, made))
            if not numbers:
                raise DataError(few(left_out, between="; "))
            for name in _describing(root):
                shutil.copyfile(root / name, made / name)
    except OSError as error:
        raise EnvironmentFault(f"{error.filename or out}: {error.strerror or error}") from error
    return Cut(len(numbers), sum(numbers), tuple(left_out))


def _describing(root: Path) -> list[str]:
    """Files that say what values and channels mean; that of nnU-Net too, where it lists no files."""
    described = raw_dataset_json(root)
    own = ["dataset.json"] if described and "channel_names" in described and "dataset" not in described else []
    return [name for name in NAMES if (root / name).is_file()] + own


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


def _cut(image: Any, one: ToCut, axis: int, to: Path) -> int:
    """The slices of one volume; how many there are."""
    for k in range(image.shape[axis]):
        part = tuple(slice(k, k + 1) if a == axis else slice(None) for a in range(DIMS))
        target = to / one.slot.numbered(k)
        target.parent.mkdir(parents=True, exist_ok=True)
        image.slicer[part].to_filename(target)
    return int(image.shape[axis])


def _on(grid: Grid, image: Any, one: ToCut) -> Any:
    """The volume in the voxel order of the image of its case.

    Raises:
        DataError: it lies on another grid.
    """
    order = order_of(grid.affine, grid.shape, image.affine, image.shape)
    if order is not None:
        new = {old: at for at, old in enumerate(order.axes)}
        turned = image.as_reoriented([[new[old], -1 if new[old] in order.flips else 1] for old in range(DIMS)])
        code = max(1, int(image.header["sform_code"]), int(image.header["qform_code"]))
        turned.set_sform(turned.affine, code)
        turned.set_qform(turned.affine, code)
        return turned
    if image.shape != grid.shape or not _same_place(grid, image.affine):
        raise DataError(
            f"{one.shown}: it lies on another grid than {one.slot.of}, of {image.shape} voxels, there {grid.shape}, so that "
            f"their slices would not match. Type: monai-hybrid check {quoted(one.file.parent)}"
        )
    return image


def _same_place(grid: Grid, affine: Affine) -> bool:
    if not (is_invertible(grid.affine) and is_invertible(affine)):
        return True  # `check` says what is wrong with such a file
    edge = float(np.linalg.norm(grid.affine[:3, :3], axis=0).min())
    return corner_distance(grid.affine, affine, grid.shape) <= TOLERANCE * edge


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


def line(folder: str | Path) -> str:
    """The command that does it, as a line to type."""
    return f"monai-hybrid slices {quoted(folder)} --output {quoted(proposed(Path(folder), SLICES))}"
