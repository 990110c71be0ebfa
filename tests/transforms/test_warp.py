"""Random affine maps drawn a sample and applied a batch at a time: MONAI's own, in another place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.transforms import RandAffined
from torch import Tensor

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.engines import HybridPrepareBatch
from monai_hybrid.transforms import DrawAffined, warp_batch

SETTINGS: dict[str, Any] = {"keys": ["image", "label"], "prob": 0.8}


def settings(size: tuple[int, ...]) -> dict[str, Any]:
    dims = len(size)
    ranges = {"rotate_range": [0.3] * (1 if dims == 2 else 3), "scale_range": [0.2] * dims, "shear_range": [0.1] * dims}
    return {**SETTINGS, **ranges, "translate_range": [n * 0.08 for n in size]}


def sample(size: tuple[int, ...], seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand((2, *size), generator=generator)
    return {"image": image, "label": (image[:1] * 4).floor()}


def stacked(samples: list[Any], key: str) -> Tensor:
    return torch.stack([torch.as_tensor(one[key]) for one in samples])


@pytest.mark.parametrize("size", [(16, 24), (15, 9), (1, 8), (12, 20, 16), (7, 10, 13)])
def test_a_batch_is_what_monai_makes_sample_by_sample(size: tuple[int, ...]) -> None:
    theirs = RandAffined(**settings(size), mode=["bilinear", "nearest"], padding_mode="border")
    ours = DrawAffined(**settings(size))
    expected, drawn = [], []
    for seed in range(12):
        theirs.set_random_state(seed)
        ours.set_random_state(seed)
        expected.append(theirs(sample(size, seed)))
        drawn.append(ours(sample(size, seed)))
        assert torch.equal(drawn[-1]["image"], sample(size, seed)["image"])
    image, label = warp_batch(*(stacked(drawn, key) for key in ("image", "label", "warp")))
    assert torch.allclose(image, stacked(expected, "image"), atol=2e-5)
    assert float((label == stacked(expected, "label")).float().mean()) > 0.998  # rounding decides between two neighbours
    moved = [not torch.equal(one["warp"], torch.eye(len(size) + 1)) for one in drawn]
    assert 0 < sum(moved) < 12


def test_the_identity_changes_nothing_and_a_shift_shifts() -> None:
    one = sample((8, 10, 12), 0)
    matrices = torch.eye(4).repeat(2, 1, 1)
    matrices[1, 0, 3] = 2.0  # a voxel reads what lies two further along the first axis
    image, label = warp_batch(one["image"].repeat(2, 1, 1, 1, 1), one["label"].repeat(2, 1, 1, 1, 1), matrices)
    assert torch.allclose(image[0], one["image"], atol=1e-5) and torch.equal(label[0], one["label"])
    assert torch.allclose(image[1, :, :-2], one["image"][:, 2:], atol=1e-5)
    assert torch.equal(label[1, :, -2:], one["label"][:, -1:].expand(-1, 2, -1, -1))  # beyond the edge the edge counts


def test_the_batch_is_warped_before_it_is_noised() -> None:
    one = sample((8, 12), 1)
    matrices = torch.eye(3)[None].repeat(2, 1, 1)
    matrices[1, 1, 2] = 3.0
    batch = {"image": one["image"].repeat(2, 1, 1, 1), "label": one["label"].repeat(2, 1, 1, 1), "has_label": torch.ones(2)}
    prepare = HybridPrepareBatch(NoiseSchedule(), "supervised")
    x, target, _, _ = prepare({**batch, "warp": matrices})
    assert torch.allclose(x[1, :, :, :-3], one["image"][:, :, 3:], atol=1e-5)
    assert target.label.dtype == torch.int64 and torch.equal(target.label[1, :, :, :-3].float(), one["label"][:, :, 3:])
    plain = prepare(batch)[0]
    assert torch.allclose(x[0], plain[0], atol=1e-5) and torch.equal(plain[0], one["image"])
