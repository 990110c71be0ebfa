"""D2xx: can these grey values be learned from?"""

from __future__ import annotations

import numpy as np

from data_prep.checks.registry import check
from data_prep.checks.subjects import ImageSubject

LARGEST_VALUE = 1e15  # beyond it, sums of squares overflow in float32


@check(
    "D201",
    on="image",
    level="error",
    remedy="Replace them, or leave the case out: python -c "
    '"import nibabel, numpy, sys; i = nibabel.load(p := sys.argv[1]); '
    'i.__class__(numpy.nan_to_num(i.get_fdata(), posinf=0, neginf=0), i.affine).to_filename(p)" {file}',
)
def not_finite(subject: ImageSubject) -> str | None:
    """Voxels are NaN or infinite: one of them turns the whole normalised image into NaN."""
    array = subject.volume.array
    bad = array.size - int(np.isfinite(array).sum()) if array.dtype.kind == "f" else 0
    return f"{bad} of {array.size} voxels are not finite (NaN or Inf)" if bad else None


@check("D202", on="image", level="error", remedy="An image without contrast teaches nothing; leave it out: mv {file} ..")
def constant(subject: ImageSubject) -> str | None:
    """All voxels of a channel have the same value."""
    volume = subject.volume
    for index in range(volume.channels):
        channel = volume.channel(index)
        if channel.min() == channel.max():
            return f"all {channel.size} voxels of channel {index} are {channel.flat[0]:g}"
    return None


@check("D203", on="image", level="error", remedy="Find the outlier and replace it, or leave the case out: mv {file} ..")
def overflows(subject: ImageSubject) -> str | None:
    """A finite value is so large that sums overflow in single precision."""
    array = subject.volume.array
    if array.dtype.kind != "f":
        return None
    largest = float(np.abs(array[np.isfinite(array)], dtype=np.float64).max(initial=0))
    return f"largest value {largest:.3g}; expected below {LARGEST_VALUE:g}" if largest > LARGEST_VALUE else None


@check("D204", on="image", level="error", remedy="Store grey values, not colour indices; convert with mode L: {file}")
def palette_image(subject: ImageSubject) -> str | None:
    """A PNG image holds indices into a colour table, not grey values."""
    return "its pixels are indices into a colour table" if subject.volume.pixel_type == "palette" else None
