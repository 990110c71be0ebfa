"""Two views of one patch for self-training: the teacher's, of the same shape and place, and the student's, changed strongly."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.transforms import (
    Compose,
    CopyItemsd,
    MapTransform,
    RandCoarseDropoutd,
    RandHistogramShiftd,
    Randomizable,
    SelectItemsd,
)

TEACHER = "teacher"  # entry of a sample: the patch as the teacher sees it
HOLES, HOLE_SHARE = 4, 4  # so many, with edges of a quarter of the patch at most: what is hidden has to be told from around it


def two_views(transforms: Sequence[Any], patch_size: Sequence[int], self_training: bool = False) -> list[Any]:
    """The random transforms of a training; with self-training they keep the patch before its grey values change.

    The patch is copied behind the last transform that takes image and label together: crop, affine map, elastic deformation. So
    teacher and student see the same place in the same shape. Images without a label are changed more strongly for the student:
    a random curve over the grey values, and holes.

    Args:
        transforms: those of the configuration; the last selects the items of a sample.
        patch_size: in voxels.
        self_training: False gives the transforms as they are.
    """
    if not self_training:
        return list(transforms)
    first = next(i for i, t in enumerate(transforms) if "label" not in t.keys or isinstance(t, SelectItemsd))
    *others, selected = transforms
    copied = CopyItemsd("image", names=TEACHER)
    kept = SelectItemsd([*selected.keys, TEACHER])
    return [*others[:first], copied, *others[first:], StrongForStudentd("image", patch_size), kept]


class StrongForStudentd(Randomizable, MapTransform):
    """A random curve over the grey values, and holes, for samples without a label; every other sample stays as it is.

    Args:
        keys: images (C, X, Y[, Z]) in [-1, 1]; they stay in this range.
        patch_size: in voxels.
    """

    def __init__(self, keys: Any, patch_size: Sequence[int]) -> None:
        MapTransform.__init__(self, keys)
        largest = [max(1, edge // HOLE_SHARE) for edge in patch_size]
        smallest = [max(1, edge // (2 * HOLE_SHARE)) for edge in patch_size]
        self.change = Compose([
            RandHistogramShiftd(self.keys, num_control_points=(4, 8), prob=0.5),
            RandCoarseDropoutd(
                self.keys, HOLES // 2, smallest, fill_value=0.0, max_holes=HOLES, max_spatial_size=largest, prob=0.5
            ),
        ])  # fmt: skip

    def set_random_state(self, seed: int | None = None, state: Any = None) -> StrongForStudentd:
        """Seed the transforms inside."""
        super().set_random_state(seed, state)
        self.change.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample; one without "has_label" with another image of the same shape and type."""
        d = dict(data)
        if bool(d["has_label"]):
            return d
        for key in self.key_iterator(d):
            d[key] = torch.as_tensor(d[key]).clone()  # holes are written in place, and this may be a view of a cached volume
        changed: dict[Hashable, Any] = self.change(d)
        return changed
