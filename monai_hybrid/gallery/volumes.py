"""Images and masks as the page takes them: an image as NIfTI, a mask as one class index a voxel, both on one grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from data_prep.colour import RGB, as_image
from data_prep.flat import flat_axis, flattened
from data_prep.geometry import is_invertible
from data_prep.nifti_open import open_nifti
from data_prep.pictures import is_picture
from data_prep.quoting import quoted
from data_prep.reading import NIFTI, extension, read_volume
from data_prep.roles import read_label
from data_prep.volume import Affine, Array, ReadError, Volume
from data_prep.voxel_order import order_of
from monai_hybrid.errors import DataError
from monai_hybrid.gallery.cases import Case, Collection

CHUNK = 2**20
LARGEST_TEXTURE = 2048  # along a side, of what every graphics processor takes as a volume
UNKNOWN = 255  # in the place of an index: a value of no label
MOST_VOXELS = 2**30  # what a page can hold
SHOWN_AS_THEY_ARE = ("uint8", "int16", "int32", "float32", "float64", "uint16", "uint32", "int8")  # types that the viewer knows


@dataclass(frozen=True)
class Grid:
    """Where voxels lie.

    Attributes:
        shape: spatial, as in the file; of a picture and of a volume of one slice (X, Y).
        affine: of the file, or identity.
        shown: affine (4, 4) of what the page gets: a volume as it is; a picture is turned so that it needs a diagonal alone.
        swapped, flips: how a picture is turned for that: whether its axes change places, then which are reversed.
    """

    shape: tuple[int, ...]
    affine: Affine
    shown: Affine
    swapped: bool = False
    flips: tuple[int, ...] = ()

    @property
    def size(self) -> tuple[int, int, int]:
        """(X, Y, Z) on the page."""
        shape = self.shape[::-1] if self.swapped else self.shape
        return (*shape, 1)[:3]  # type: ignore[return-value]

    def for_page(self, array: Array) -> Array:
        """Voxels of the file, with colours behind or not, as the page takes them: `size`."""
        turned = np.flip(array.swapaxes(0, 1) if self.swapped else array, self.flips)
        return turned.reshape(*self.size, *array.shape[len(self.shape) :])

    def of_page(self, array: Array) -> Array:
        """Voxels of the page in the order of the file: `shape`."""
        turned = np.flip(array.reshape(self.size[: len(self.shape)]), self.flips)
        return turned.swapaxes(0, 1) if self.swapped else turned


@dataclass(frozen=True)
class Stream:
    """Bytes for the page, piece by piece."""

    name: str
    length: int
    pieces: Iterator[bytes]


def grid_of(image: Path) -> Grid:
    """The grid of an image; of NIfTI by its header alone.

    Raises:
        DataError: it cannot be read, or is too large to be shown.
    """
    if extension(image) in NIFTI:
        shape, affine = _nifti_grid(image)
    else:
        volume = _read(image)
        shape, affine = volume.shape, np.eye(4) if volume.affine is None else volume.affine
    if not shape or min(shape) < 1 or np.prod(shape, dtype=np.int64) > MOST_VOXELS:
        raise DataError(f"{image}: shape {shape}; expected 1 to {MOST_VOXELS} voxels to show")
    if is_picture(image):
        return Grid(shape[:2], affine, np.eye(4), flips=(1,))  # rows from the top
    axis = flat_axis(shape)
    if axis is not None or len(shape) < 3:
        kept = [other for other in range(3) if other != (2 if axis is None else axis)]
        return upright(tuple(shape[other] for other in kept), affine, kept)
    return Grid(shape[:3], affine, affine if is_invertible(affine) else np.eye(4))


def _nifti_grid(image: Path) -> tuple[tuple[int, ...], Affine]:
    try:
        opened = open_nifti(image)
        shape, affine, kind = opened.shape, np.asarray(opened.affine, np.float64), opened.get_data_dtype()
    except Exception as error:  # nibabel's own are many
        raise DataError(f"{image}: cannot be read as NIfTI ({error}). Type: monai-hybrid check {quoted(image)}") from error
    check = f"Type: monai-hybrid check {quoted(image)}"
    if kind.names:
        raise DataError(f"{image}: its voxels are colours ({''.join(kind.names)}); expected one number a voxel. {check}")
    if any(size != 1 for size in shape[4:]):
        raise DataError(f"{image}: shape {shape}; expected X, Y, Z and at most one axis of channels. {check}")
    return tuple(int(size) for size in shape[:3]), affine


def _read(path: Path) -> Volume:
    try:
        return read_volume(path)
    except ReadError as fault:
        raise DataError(f"{path}: {fault.seen}. Type: monai-hybrid check {quoted(path)}") from fault


def upright(shape: tuple[int, ...], affine: Affine, kept: Sequence[int]) -> Grid:
    """A slice as a picture: the earlier of its two world axes to the right, the later one upwards."""
    columns = [affine[:3, axis] for axis in kept]
    along = [int(np.abs(column).argmax()) for column in columns]
    if along[0] == along[1] or not np.isfinite(affine).all():
        return Grid(shape, affine, np.eye(4), flips=(1,))
    order = (1, 0) if along[0] > along[1] else (0, 1)
    lengths = [float(np.linalg.norm(columns[axis])) or 1.0 for axis in order]
    flips = tuple(new for new, old in enumerate(order) if columns[old][along[old]] < 0)
    return Grid(shape, affine, np.diag([*lengths, 1.0, 1.0]), order == (1, 0), flips)


def image_stream(case: Case, channel: int = 0, colour: str | None = None) -> Stream:
    """One channel of an image as NIfTI; a file that the page can take as it is is passed on unread.

    Args:
        case: whose image.
        channel: of several files or of a file of several channels; of a picture nothing but `colour` counts.
        colour: of a picture: one of `RGB`, as grey values; None: all of it, in its colours.

    Raises:
        DataError: it cannot be read.
    """
    path = case.images[channel] if len(case.images) > 1 else case.images[0]
    grid = grid_of(path)
    if extension(path) in NIFTI and _goes_as_it_is(path, grid):
        return Stream(f"image{extension(path)}", path.stat().st_size, _pieces(path))
    array = channel_array(path, channel if len(case.images) == 1 else 0)
    if colour in RGB and is_picture(path) and array.ndim == 3:
        array = np.ascontiguousarray(array[..., RGB.index(colour)])
    content = _nifti_bytes(grid.for_page(array), grid.shown)
    return Stream("image.nii", len(content), iter((content,)))


def _goes_as_it_is(path: Path, grid: Grid) -> bool:
    image = open_nifti(path)
    plain = len(image.shape) == 3 or all(size == 1 for size in image.shape[3:])
    known = image.get_data_dtype().name in SHOWN_AS_THEY_ARE
    return bool(len(grid.shape) == 3 and plain and known and grid.shown is grid.affine)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def channel_array(path: Path, channel: int = 0) -> Array:
    """One channel (X, Y[, Z]) of a file in the form of its `Grid`; a picture of colours as (X, Y, 3) uint8.

    Raises:
        DataError: it cannot be read.
    """
    if is_picture(path):
        return _picture(path)
    if extension(path) not in NIFTI:
        volume = flattened(_read(path))
        return volume.channel(min(channel, volume.channels - 1))
    image = open_nifti(path)
    try:
        proxy = image.dataobj
        further = [0] * (len(image.shape) - 4)  # axes of one beyond the channels
        array = np.asarray(proxy[(..., min(channel, image.shape[3] - 1), *further)] if len(image.shape) > 3 else proxy)
    except Exception as error:
        raise DataError(f"{path}: cannot be read ({error}). Type: monai-hybrid check {quoted(path)}") from error
    array = array.reshape(array.shape[:3]) if array.ndim > 3 else array
    axis = flat_axis(array.shape)
    return array if axis is None else np.squeeze(array, axis=axis)


def _picture(path: Path) -> Array:
    try:
        array = as_image(_read(path), RGB).array
    except ReadError as fault:
        raise DataError(f"{path}: {fault.seen}") from fault
    if (array == array[..., :1]).all():
        return np.asarray(array[..., 0])
    if array.dtype == np.uint8:
        return array
    return (array.astype(np.float64) * (255 / max(float(array.max()), 1))).astype(np.uint8)


def _nifti_bytes(array: Array, affine: Affine) -> bytes:
    if array.ndim == 4 and array.shape[3] == 3:
        array = _colours(array)
    elif array.dtype.kind == "c":
        array = np.abs(array).astype(np.float32)
    elif array.dtype.name not in SHOWN_AS_THEY_ARE:
        array = array.astype(np.float32)
    content: bytes = nib.Nifti1Image(array, affine, dtype=array.dtype).to_bytes()
    return content


def _colours(array: Array) -> Array:
    """(X, Y, 1, 3) uint8 as colours of NIfTI: with an opaque alpha where the viewer takes no others."""
    names = "RGBA" if max(array.shape) > LARGEST_TEXTURE else "RGB"
    opaque = np.full((*array.shape[:3], len(names)), 255, np.uint8)
    opaque[..., :3] = array
    return np.ascontiguousarray(opaque).view(np.dtype([(name, "u1") for name in names]))[..., 0]


def mask_indices(collection: Collection, case: Case, mask: Path | None) -> Array:
    """The class index of each voxel, (X, Y, Z) uint8 as `Grid.for_page` orders them; 0 without a mask.

    Raises:
        DataError: it cannot be read, lies on another grid, or holds a value of no label.
    """
    grid = grid_of(case.images[0])
    if mask is None:
        return np.zeros(grid.size, np.uint8)
    try:
        volume = read_label(mask, flat=len(grid.shape) == 2)
    except ReadError as fault:
        raise DataError(f"{mask}: {fault.seen}. Type: monai-hybrid check {quoted(mask)}") from fault
    array = volume.array.reshape(volume.shape)
    if volume.affine is not None and len(grid.shape) == 3:
        order = order_of(grid.affine, grid.shape, volume.affine, volume.shape)
        array = array if order is None else order.array(array)
    if array.shape != grid.shape:
        raise DataError(f"{mask}: shape {array.shape}, expected that of its image, {grid.shape}")
    return grid.for_page(indices(array, collection, mask))


def indices(array: Array, collection: Collection, mask: Path) -> Array:
    """Label values of any shape as class indices, uint8.

    Raises:
        DataError: a value is of no label.
    """
    found = _looked_up(array, collection) if array.dtype in (np.uint8, np.uint16) else _searched(array, collection)
    if int(found.max(initial=0)) == UNKNOWN:
        value: Any = array[found == UNKNOWN].flat[0]
        names = ", ".join(f"{label.value} {label.name}" for label in collection.labels)
        raise DataError(f"{mask}: holds the value {value:g}; expected {names}. Give the model of these masks with --model")
    return found


def _looked_up(array: Array, collection: Collection) -> Array:
    """By a table of all values that the type can hold: one pass."""
    table = np.full(np.iinfo(array.dtype).max + 1, UNKNOWN, np.uint8)
    for label in collection.labels:
        if 0 <= label.value < table.size:
            table[label.value] = label.index
    return table[array]


def _searched(array: Array, collection: Collection) -> Array:
    found = np.full(array.shape, UNKNOWN, np.uint8)
    for label in collection.labels:
        found[array == label.value] = label.index
    return found
