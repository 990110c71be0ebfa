"""A volume of a case for reports: image, reference and prediction, turned to RAS, cut to the masks and made small.

Arrays of `volumes/<case_id>.npz` (compressed): `image` uint8 (X, Y, Z), percentiles 0.5 to 99.5 of the volume to 0..255;
`reference` and `prediction` uint8 (X, Y, Z), class index; `spacing` float32 (3,) in `unit`, as in `slices`; `oriented`: whether
the axes are those of the patient; `step` int (3,): how many voxels of the file one is; `cut`: whether a part was left out.
"""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import torch
from monai.data import MetaTensor

from monai_hybrid.evaluation.blocks import MOST_VOXELS, averaged, grey, steps, surroundings, thinned

Array = npt.NDArray[Any]


def small_volume(image: Any, label: Any, pred: Any, in_mm: bool, oriented: bool) -> dict[str, Array]:
    """The arrays of a case.

    Args:
        image: (C, X, Y, Z) any type; its first channel is shown.
        label, pred: (1, X, Y, Z) class index on the same grid; the affine is the label's.
        in_mm: whether the affine states mm.
        oriented: whether the file says where right, anterior and superior are.
    """
    arrays, spacing = turned(image, label, pred)
    window = surroundings((arrays[1] > 0) | (arrays[2] > 0), spacing)
    bounds = np.percentile(arrays[0], [0.5, 99.5])
    parts = [np.asarray(array[window]) for array in arrays]
    step = steps(parts[0].shape, spacing, MOST_VOXELS)
    masks = zip(("reference", "prediction"), parts[1:], strict=True)
    lengths = spacing * step if in_mm else np.asarray(step)
    return {
        "image": grey(averaged(parts[0], step), bounds),
        **{name: thinned(part, step).astype(np.uint8) for name, part in masks},
        "spacing": lengths.astype(np.float32),
        "step": np.asarray(step),
        "unit": np.array("mm" if in_mm else "voxels"),
        "oriented": np.array(oriented),
        "cut": np.array(parts[0].shape != arrays[0].shape),
    }


def turned(image: Any, label: Any, pred: Any) -> tuple[list[Array], Array]:
    """First channel of the image, label and prediction, (X, Y[, Z]), volumes along the nearest RAS axes; and the spacing."""
    affine = label.affine.cpu().numpy() if isinstance(label, MetaTensor) else np.eye(4)
    arrays = [plain(values)[0] for values in (image, label, pred)]
    arrays[1] = arrays[1].clip(0)  # where nobody annotated, no reference is shown
    spacing = np.linalg.norm(affine[:3, : arrays[1].ndim], axis=0)
    if arrays[1].ndim < 3:
        return arrays, spacing
    turn = nib.io_orientation(affine)
    return [nib.apply_orientation(array, turn) for array in arrays], spacing[np.argsort(turn[:, 0])]


def plain(values: Any) -> Array:
    """An array of what a transform has left."""
    values = values.as_tensor() if isinstance(values, MetaTensor) else values
    return np.asarray(torch.as_tensor(values).detach().cpu())
