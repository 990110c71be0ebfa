"""Pictures stored as volumes of one slice: (X, Y, 1), (X, 1, Z) or (1, Y, Z), as NIfTI, MHA or NRRD."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data_prep.volume import Affine, Array, Volume


def flat_axis(shape: tuple[int, ...]) -> int | None:
    """The one axis of length 1 among three spatial axes; None where there is none, or more than one."""
    thin = [axis for axis, size in enumerate(shape[:3]) if size == 1]
    return thin[0] if len(shape) >= 3 and len(thin) == 1 else None


def flattened(volume: Volume) -> Volume:
    """A volume of one slice as a picture (X, Y[, C]) of two spatial axes; any other volume as it is.

    The two axes keep their order and their place in the world. The third column of the affine becomes the unit normal of the
    picture: what the file says across the slice (999 mm by an old convention, often 0) means nothing.
    """
    axis = flat_axis(volume.shape) if volume.spatial_dims == 3 else None
    if axis is None:
        return volume
    array = np.squeeze(volume.array, axis=axis)
    if array.ndim > 2 and array.shape[2:] == (1,) * (array.ndim - 2):
        array = array.reshape(array.shape[:2])
    kept = [other for other in range(3) if other != axis]
    affine = None if volume.affine is None else _in_plane(volume.affine, kept)
    facts = volume.facts
    if facts is not None:
        pixdim = tuple(facts.pixdim[other] for other in kept)
        sform, qform = _in_plane(facts.sform, kept), None if facts.qform is None else _in_plane(facts.qform, kept)
        facts = replace(facts, pixdim=pixdim, sform=sform, qform=qform)
    return replace(volume, array=array, affine=affine, facts=facts, dims=2, flat_axis=axis)


def _in_plane(affine: Affine, kept: list[int]) -> Affine:
    first, second = (affine[:3, axis] for axis in kept)
    normal = np.cross(first, second)
    length = float(np.linalg.norm(normal))
    result = np.eye(4)
    result[:3, 0], result[:3, 1], result[:3, 3] = first, second, affine[:3, 3]
    result[:3, 2] = normal / length if length > 0 and np.isfinite(length) else 0
    return result


def plane_affine(volume: Volume) -> Affine:
    """Pixel -> mm within the picture, 4 x 4 with the spacing on its diagonal: what 2D resampling needs, whatever the slice's
    place in the body."""
    return np.diag([*volume.spacing, 1.0, 1.0]).astype(np.float64)


def refilled(array: Array, axis: int | None) -> Array:
    """The axis of length 1 put back: (X, Y) on the grid of the file that `flattened` read."""
    return array if axis is None else np.expand_dims(array, axis)
