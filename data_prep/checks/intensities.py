"""D2xx: can these grey values be learned from?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from data_prep.amounts import few
from data_prep.checks.copies import copies
from data_prep.checks.registry import Remark, check
from data_prep.checks.subjects import DatasetSubject, ImageSubject
from data_prep.checks.where import located
from data_prep.pictures import is_picture
from data_prep.tones import structures
from data_prep.volume import Array

LARGEST_VALUE = 1e15  # beyond it, sums of squares overflow in float32


@check(
    "D201",
    on="image",
    level="error",
    remedy="Leave the case out; or, where nothing was measured there, put 0 in their place, or the lowest value if that is "
    "below 0, as air in CT: "
    + copies(
        "a := i.get_fdata(), m := a[numpy.isfinite(a)].min(initial=0)",
        "nibabel, numpy, sys",
        "i.__class__(numpy.nan_to_num(a, nan=m, posinf=m, neginf=m), i.affine)",
    )
    + ' && monai-hybrid check FOLDER --images-dir "$PWD/NEW"',
)
def not_finite(subject: ImageSubject) -> Remark | None:
    """Voxels are NaN or infinite: one of them turns the whole normalised image into NaN."""
    array = subject.volume.array
    bad = ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(1, dtype=bool)
    if not bad.any():
        return None
    return located(
        subject.volume, bad, f"{np.count_nonzero(bad)} of {array.size} {subject.volume.cells} are not finite (NaN or Inf)"
    )


@check(
    "D202",
    on="image",
    level="error",
    training_only=True,
    remedy="An image without contrast teaches nothing; leave it out: {case}",
)
def constant(subject: ImageSubject) -> str | None:
    """All voxels of a channel have the same value."""
    volume = subject.volume
    planes = [volume.channel(index) for index in range(volume.channels)]
    same = [index for index, plane in enumerate(planes) if plane.min() == plane.max()]
    if not same or (is_picture(volume.path) and len(same) < len(planes)):  # a photograph may lack a colour
        return None
    return f"all {planes[same[0]].size} {volume.cells} of channel {same[0]} are {planes[same[0]].flat[0]:g}"


@check("D203", on="image", level="error", remedy="Find the outlier and replace it, or leave the case out: {case}")
def overflows(subject: ImageSubject) -> Remark | None:
    """A finite value is so large that sums overflow in single precision."""
    array = subject.volume.array
    if array.dtype.kind != "f":
        return None
    bad = np.isfinite(array) & ((array > LARGEST_VALUE) | (array < -LARGEST_VALUE))
    if not bad.any():
        return None
    largest = float(np.abs(array[bad].astype(np.float64)).max())
    return located(subject.volume, bad, f"largest value {largest:.3g}; expected below {LARGEST_VALUE:g}")


MASK_VALUES = 16  # a scan of 8 bits has more; so have few masks
AT_ONCE = 2**16  # voxels


@check("D207", on="image", level="warning", remedy="If it is a mask, give its scan, or leave it out: {case}")
def looks_like_a_mask(subject: ImageSubject) -> str | None:
    """An image holds a few whole numbers only, as a mask does."""
    volume = subject.volume
    values = few_whole_values(volume.array)
    planes = [volume.channel(index) for index in range(volume.channels)] if values else []
    if all(plane.min() == plane.max() for plane in planes):  # D202
        return None
    seen = f"{few([f'{value:g}' for value in sorted(values)])} are its only values"
    return f"{seen}, as in a mask; expected the grey values of a scan"


def few_whole_values(array: Array) -> set[float]:
    """The values of an image, of any shape, of at most 16 different whole ones; empty for any other image.

    A scan is told by its first voxels: a mask of 512 cubed takes a second, as most of its stretches have one value.
    """
    seen: set[float] = set()
    flat = array.ravel(order="K")
    for start in range(0, flat.size, AT_ONCE):
        part = flat[start : start + AT_ONCE]
        low, high = part.min(), part.max()
        seen |= {float(value) for value in ((low,) if low == high else np.unique(part))}
        if len(seen) > MASK_VALUES or not all(value.is_integer() for value in seen):
            return set()
    return seen


AIR_HU = -500  # every CT that shows air, inside or around the body, has voxels far below
EIGHT_BITS = 255


@check(
    "D205",
    on="dataset",
    level="error",
    acceptable=True,
    remedy="Subtract the offset (often 1024) so that water is 0 HU, or leave the case out: {case}",
)
def other_zero_point(subject: DatasetSubject) -> Iterator[Remark]:
    """A CT image has no negative value though the other images show air below -500 HU: its zero point is another."""
    lowest = [(facts, facts.ranges[0][0]) for facts in subject.facts if facts.ranges]
    air = [facts for facts, low in lowest if low < AIR_HU]
    if subject.modality not in (None, "unknown", "CT") or len(air) <= len(lowest) / 2:
        return
    for facts, low in lowest:
        if low >= 0:
            message = f"lowest value {low:g}; {len(air)} of the other images go below {AIR_HU} HU"
            yield Remark(message, facts.case.case_id, str(facts.case.images[0]))


@check(
    "D206",
    on="dataset",
    level="error",
    acceptable=True,
    remedy="Export the CT again in Hounsfield units; if it is not CT, type: --modality MRI",
)
def clipped_ct(subject: DatasetSubject) -> Iterator[Remark]:
    """CT images hold 0 to 255 only: Hounsfield units were clipped or rescaled to 8 bits."""
    ranges = [facts.ranges[0] for facts in subject.facts if facts.ranges]
    if subject.modality == "CT" and ranges and all(low >= 0 and high <= EIGHT_BITS for low, high in ranges):
        low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
        first = subject.facts[0].case
        message = f"grey values {low:g} to {high:g} in all {len(ranges)} images; expected Hounsfield units, air near -1000"
        yield Remark(message, first.case_id, str(first.images[0]))


@check(
    "D314",
    on="dataset",
    level="warning",
    remedy="build plans a soft clip for them; build an older plan again. A model that was trained with a hard clip keeps it "
    "when it is adapted; train one anew: monai-hybrid pretrain",
)
def beyond_the_clip(subject: DatasetSubject) -> Iterator[Remark]:
    """A class lies mostly beyond the percentiles 0.5 and 99.5 of its images, where clipping makes everything one grey."""
    if (subject.modality or "").upper() == "CT":  # its window follows from the structures
        return
    found = structures([facts.tones for facts in subject.facts if facts.case.split in (None, "training")])
    for value, one in found.items():
        if one.is_beyond:
            name = (subject.declared or {}).get(value, f"label {value}")
            where = f"in {one.beyond} of {one.cases} training cases"
            yield Remark(f"{name} lies beyond the percentiles 0.5 and 99.5 of its image {where}: clipped, it is one grey")
