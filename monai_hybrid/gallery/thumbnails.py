"""A small picture of a case: the slice in which its mask is largest, as a person looks at it, the mask in its colours."""

from __future__ import annotations

import io

import nibabel as nib
import numpy as np

from data_prep.nifti_open import open_nifti
from data_prep.quoting import quoted
from data_prep.reading import NIFTI, extension
from data_prep.volume import Array
from monai_hybrid.errors import DataError
from monai_hybrid.gallery.cases import Case, Collection
from monai_hybrid.gallery.painting import in_proportion, painted
from monai_hybrid.gallery.volumes import Grid, channel_array, grid_of, mask_indices

SIDE = 160  # pixels of the longer side
LOW, HIGH = 1, 99  # percentiles of the slice that become black and white


def thumbnail(collection: Collection, case: Case, mask_of: Array | None = None, side: int = SIDE) -> bytes:
    """PNG whose longer side has `side` pixels.

    Args:
        collection, case: what to show.
        mask_of: class indices on the page's grid; None: the case's own mask.

    Raises:
        DataError: the image cannot be read.
    """
    grid = grid_of(case.images[0])
    mask = mask_indices(collection, case, case.mask) if mask_of is None else mask_of
    codes = nib.io_orientation(grid.shown)
    across = int(np.flatnonzero(codes[:, 0] == 2)[0]) if len(grid.shape) == 3 else 2  # the axis from feet to head
    areas = (mask > 0).sum(axis=tuple(axis for axis in range(3) if axis != across))
    place = int(areas.argmax()) if areas.any() else mask.shape[across] // 2
    scan, marked = _slice(case, grid, across, place), np.take(mask, place, axis=across)
    codes = codes[[axis for axis in range(3) if axis != across]]
    scan, marked = _facing(scan, codes), _facing(marked, codes)
    lengths = np.linalg.norm(grid.shown[:3, :3], axis=0)[[axis for axis in range(3) if axis != across]]
    spacing = lengths if codes[0, 0] < codes[1, 0] else lengths[::-1]
    size = in_proportion(marked.shape, (float(spacing[1]), float(spacing[0])), side)
    content = io.BytesIO()
    painted(_grey(scan), marked, [label.colour for label in collection.labels[1:]] or ["#000000"], size).save(content, "PNG")
    return content.getvalue()


def _slice(case: Case, grid: Grid, across: int, place: int) -> Array:
    """(A, B) or (A, B, 3) of the first channel; of NIfTI only that slice is kept in memory."""
    path = case.images[0]
    if extension(path) not in NIFTI or len(grid.shape) == 2:
        array = grid.for_page(channel_array(path))
        return array[:, :, 0] if len(grid.shape) == 2 else np.take(array, place, axis=across)
    image = open_nifti(path)
    cut: list[slice | int] = [slice(None)] * 3 + [0] * (len(image.shape) - 3)
    cut[across] = place
    try:
        return np.asarray(image.dataobj[tuple(cut)])
    except Exception as error:  # nibabel's own are many
        raise DataError(f"{path}: cannot be read ({error}). Type: monai-hybrid check {quoted(path)}") from error


def _facing(plane: Array, codes: Array) -> Array:
    """Rows from the top, columns from the left: of the two world axes the later one upwards."""
    for axis in (0, 1):
        plane = np.flip(plane, axis) if codes[axis, 1] < 0 else plane
    plane = plane if codes[0, 0] < codes[1, 0] else plane.swapaxes(0, 1)
    return np.flip(plane.swapaxes(0, 1), 0)


def _grey(plane: Array) -> Array:
    """(H, W, 3) uint8."""
    if plane.ndim == 3:
        return plane.astype(np.uint8)
    values = np.nan_to_num(np.abs(plane) if plane.dtype.kind == "c" else plane.astype(np.float32), posinf=0, neginf=0)
    low, high = np.percentile(values, (LOW, HIGH))
    scaled = np.clip((values - low) / max(float(high - low), 1e-6), 0, 1) * 255
    return np.repeat(scaled.astype(np.uint8)[..., None], 3, axis=2)
