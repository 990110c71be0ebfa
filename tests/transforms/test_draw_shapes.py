"""Random shapes in the place of a crop: by the transform's own state, in the types that the pipeline has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from data_prep.synthetic import draw_sample
from monai_hybrid.engines.replay import Draw, ReplayableDataset
from monai_hybrid.transforms import DrawShapesd


def case(shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "image": torch.zeros(1, *shape),
        "label": torch.zeros(1, *shape, dtype=torch.uint8),
        "case_id": "a",
        "has_label": True,
    }


@pytest.mark.parametrize("shape", [(16, 24), (16, 16, 24)])
def test_image_and_label_are_drawn_and_the_rest_stays(shape: tuple[int, ...]) -> None:
    transform = DrawShapesd(spatial_size=shape)
    transform.set_random_state(3)
    out = transform(case((8,) * len(shape)))
    sample = draw_sample(transform.drawn, shape)
    assert torch.equal(out["label"][0], torch.from_numpy(sample.label)) and out["label"].dtype == torch.uint8
    assert out["image"].shape == (1, *shape) and out["image"].dtype == torch.float32
    assert float(out["image"].min()) >= -1 and float(out["image"].max()) <= 1
    grey = np.corrcoef(out["image"][0].flatten().numpy(), sample.image.flatten())[0, 1]
    assert grey > 0.99 and out["case_id"] == "a" and out["has_label"] is True


def test_a_draw_gives_the_same_sample_in_any_order_and_another_seed_another() -> None:
    dataset = ReplayableDataset([case((8, 8))], DrawShapesd(spatial_size=(16, 16)), copy_cache=False, progress=False)
    first, other, again = (dataset[Draw(0, seed)] for seed in (5, 6, 5))
    assert torch.equal(first["image"], again["image"]) and torch.equal(first["label"], again["label"])
    assert not torch.equal(first["image"], other["image"])
