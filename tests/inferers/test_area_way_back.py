"""Prediction brings a mask back as the ceiling of `build` says it does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from data_prep.resampling import coarse_label, label_back
from monai_hybrid.inferers import InputGridInferer
from monai_hybrid.transforms import SafeSpacingd


def certain(x: torch.Tensor) -> torch.Tensor:
    """Logits of a network that reads the class off the grey value, without a doubt."""
    return torch.cat([-60.0 * (x - index).abs() for index in range(3)], 1)


@pytest.mark.parametrize("target", [1.3, 2.0, 2.5, 4.0])
@pytest.mark.parametrize("shape", [(40, 33), (24, 20, 18)], ids=str)
def test_the_numpy_way_is_the_way_of_prediction(shape: tuple[int, ...], target: float) -> None:
    rng = np.random.default_rng(len(shape))
    coarse = torch.from_numpy(rng.random((1, 1, *(max(2, n // 6) for n in shape))))
    smooth = torch.nn.functional.interpolate(coarse, shape, mode="bilinear" if len(shape) == 2 else "trilinear")[0]
    label = (smooth > 0.4).float() + (smooth > 0.6)
    step = SafeSpacingd("label", pixdim=[target] * len(shape), mode="nearest", resampling="area")
    there = step({"label": MetaTensor(label.float())})["label"]
    factors = [target] * len(shape)
    assert (there[0].numpy() == coarse_label(label[0].numpy(), factors)).all()
    found = InputGridInferer([16] * len(shape), 4, 0.5)(there[None], certain)[0, 0].numpy()
    again = label_back(there[0].numpy(), shape, factors)
    assert found.shape == shape and (found != again).mean() < 2e-3, "only where two classes have equal shares"
