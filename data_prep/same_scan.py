"""A digest of what an image shows, whatever file format, header text, number type or voxel order holds it."""

from __future__ import annotations

import hashlib

import nibabel as nib
import numpy as np

from data_prep.geometry import is_invertible
from data_prep.volume import Affine, Volume
from data_prep.voxel_order import VoxelOrder

PLACE_MM = 1e-3  # float32 headers and other libraries' arithmetic stay far below


def canonical(volume: Volume) -> tuple[str, Affine | None]:
    """A digest of the voxels in their order nearest to RAS, and the affine (4, 4) of that order; None without geometry.

    Values are compared as float32, plane by plane, so that no second copy of the volume is made.
    """
    array, affine = volume.array, volume.affine
    if affine is not None and volume.spatial_dims == 3 and is_invertible(affine):
        turn = nib.io_orientation(affine)  # per axis of the file: its RAS axis and direction
        olds = [int(np.flatnonzero(turn[:, 0] == new)[0]) for new in range(3)]
        order = VoxelOrder((olds[0], olds[1], olds[2]), tuple(new for new, old in enumerate(olds) if turn[old, 1] < 0))
        array, affine = order.array(array), order.affine(affine, volume.shape)
    digest = hashlib.blake2b(repr(array.shape).encode(), digest_size=16)
    for plane in np.moveaxis(array, 2, 0) if array.ndim > 2 else [array]:
        with np.errstate(over="ignore"):  # a value beyond float32 is reported by a check of its own
            digest.update((np.ascontiguousarray(plane, dtype=np.float32) + np.float32(0)).tobytes())  # + 0: no negative zero
    return digest.hexdigest(), affine


def same_place(first: Affine | None, second: Affine | None) -> bool:
    """Whether two affines of `canonical` are equal but for rounding; formats without geometry agree with each other alone."""
    if first is None or second is None:
        return first is second
    return bool(np.allclose(first, second, rtol=1e-5, atol=PLACE_MM))
