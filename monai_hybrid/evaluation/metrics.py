"""Dice, normalised surface Dice (NSD) and 95 % Hausdorff distance (HD95) of one case; nothing that is wrong drops out.

The numbers are MONAI's. What MONAI leaves undefined is decided here:

| status | label | prediction | Dice | NSD | HD95 |
| --- | --- | --- | --- | --- | --- |
| ok | present | present | MONAI's | MONAI's | MONAI's |
| missed | present | empty | 0 | 0 | the image's diagonal |
| invented | empty | present | 0 | 0 | the image's diagonal |
| absent | empty | empty | undefined: counted, never averaged | | |

Voxels that nobody annotated are in no structure, neither of the label nor of the prediction. A mask that is known in part has
no surface, so such a case has a Dice and neither NSD nor HD95.

MONAI's conventions: a surface is the set of mask voxels that an erosion by one voxel (faces only) removes, and every such voxel
counts the same; NSD is the share of both surfaces that lies within the tolerance of the other one; HD95 is the larger of the
two directed 95 % quantiles (not the quantile of both pooled), between voxel centres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice
from monai.transforms.utils import generate_spatial_bounding_box
from torch import Tensor

from data_prep.ignoring import IGNORED
from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.status import ABSENT, INVENTED, MISSED, OK
from monai_hybrid.transforms.annotated import background_where_ignored, plain

# An affine is stored in float32: a surface at exactly the tolerance must not fall out by the seventh digit.
ROUNDING = 1e-5


@dataclass(frozen=True)
class StructureScore:
    """One class in one case. `hd95` is in the unit of the spacing; metrics are None when the structure is absent in both.

    `nsd` and `hd95` are also None where the label is annotated in part.
    """

    status: str
    dice: float | None
    nsd: float | None
    hd95: float | None
    label_voxels: int
    pred_voxels: int


def score_case(
    pred: Tensor, label: Tensor, num_classes: int, spacing: Sequence[float], nsd_tolerance: float
) -> list[StructureScore]:
    """Scores of classes 1..K-1.

    Args:
        pred, label: (1, X, Y[, Z]) class index 0..K-1, same grid, any dtype; in `label` -1 where nobody annotated.
        num_classes: K.
        spacing: distance of neighbouring voxels along each axis, in mm (or 1 for pixels).
        nsd_tolerance: in the same unit.

    Raises:
        DataError: another grid, NaN, or values that are no class index.
    """
    if pred.shape != label.shape:
        raise DataError(f"prediction {tuple(pred.shape)} and label {tuple(label.shape)} are on different grids")
    whole = not bool((torch.as_tensor(label) == IGNORED).any())
    if not whole:
        pred, label = background_where_ignored(pred, label)
    p, y = _class_index(pred, num_classes, "prediction"), _class_index(label, num_classes, "label")
    scores = [score_structure(p == index, y == index, spacing, nsd_tolerance) for index in range(1, num_classes)]
    return scores if whole else [replace(score, nsd=None, hd95=None) for score in scores]


def _class_index(values: Tensor, num_classes: int, what: str) -> Tensor:
    """(1, X, Y[, Z]) any dtype -> (X, Y[, Z]) int32."""
    values = plain(torch.as_tensor(values).detach()[0])
    if values.is_floating_point() and not bool(torch.isfinite(values).all()):
        raise DataError(f"the {what} holds NaN or Inf; expected class indices 0 to {num_classes - 1}")
    index = values.to(torch.int32)
    if bool((index != values).any()) or int(index.min()) < 0 or int(index.max()) >= num_classes:
        low, high = values.min().item(), values.max().item()
        raise DataError(f"the {what} holds values from {low:g} to {high:g}; expected class indices 0 to {num_classes - 1}")
    return index


def score_structure(pred: Tensor, label: Tensor, spacing: Sequence[float], nsd_tolerance: float) -> StructureScore:
    """Scores of one structure.

    Args:
        pred, label: (X, Y[, Z]) bool.
        spacing, nsd_tolerance: as in `score_case`.
    """
    voxels = {"label_voxels": int(label.sum()), "pred_voxels": int(pred.sum())}
    if not any(voxels.values()):
        return StructureScore(ABSENT, None, None, None, **voxels)
    if not all(voxels.values()):
        status = MISSED if voxels["label_voxels"] else INVENTED
        return StructureScore(status, 0.0, 0.0, image_diagonal(label.shape, spacing), **voxels)
    return StructureScore(OK, *overlap_and_distances(*crop_to_union(pred, label), spacing, nsd_tolerance), **voxels)


def overlap_and_distances(
    pred: Tensor, label: Tensor, spacing: Sequence[float], nsd_tolerance: float
) -> tuple[float, float, float]:
    """Dice, NSD and HD95 of two masks (X, Y[, Z]), bool, neither of them empty; as MONAI computes them."""
    y_pred, y = pred[None, None], label[None, None]
    lengths = [float(s) for s in spacing]  # MONAI refuses a mixture of int and float
    dice = compute_dice(y_pred, y, include_background=True)
    nsd = compute_surface_dice(y_pred, y, [nsd_tolerance * (1 + ROUNDING)], include_background=True, spacing=lengths)
    hd95 = compute_hausdorff_distance(y_pred, y, include_background=True, percentile=95, spacing=lengths)
    return dice.item(), nsd.item(), hd95.item()


def crop_to_union(pred: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Both masks (X, Y[, Z]) in the box around everything in either, with a margin of one voxel where the image has one.

    No score changes: each depends on the voxels of the two masks only.
    """
    low, high = generate_spatial_bounding_box((pred | label)[None], margin=1, allow_smaller=True)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return pred[box], label[box]


def image_diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Length of the image's diagonal, voxel edges included: no HD95 within the image can be larger."""
    return math.hypot(*(n * s for n, s in zip(shape, spacing, strict=True)))


def voxel_spacing(affine: Tensor, spatial_dims: int) -> tuple[float, ...]:
    """Lengths of the first columns of an affine (4, 4) in mm: also right for a 2D image that lies obliquely in the scanner.

    Raises:
        DataError: a length that is zero or not finite.
    """
    columns = np.asarray(torch.as_tensor(affine).cpu(), dtype=np.float64)[:-1, :spatial_dims]
    lengths = np.linalg.norm(columns, axis=0)
    if not np.isfinite(lengths).all() or (lengths <= 0).any():
        raise DataError(f"the affine gives voxels of {lengths.tolist()} mm; run `monai-hybrid check` on the data set")
    return tuple(lengths.tolist())
