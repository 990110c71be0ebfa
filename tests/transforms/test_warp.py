"""Random affine and elastic maps, drawn first and applied later, to a sample or a batch: MONAI's own, in another place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.transforms import Compose, Rand2DElasticd, Rand3DElasticd, RandAffined
from torch import Tensor

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.engines import HybridPrepareBatch
from monai_hybrid.transforms import Draw2DElasticd, Draw3DElasticd, DrawAffined, Warpd, warp_batch

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


def elastic(size: tuple[int, ...], prob: float = 1.0) -> tuple[Any, Any]:
    """MONAI's transform, and ours."""
    known: dict[str, Any] = {"keys": ["image", "label"], "prob": prob}
    applied: dict[str, Any] = {"mode": ["bilinear", "nearest"], "padding_mode": "border"}
    if len(size) == 2:
        known |= {"spacing": [max(n // 4, 4) for n in size], "magnitude_range": (0.5, 1.5)}
        return Rand2DElasticd(**known, **applied), Draw2DElasticd(**known)
    known |= {"sigma_range": (3, 5), "magnitude_range": (20, 80)}
    return Rand3DElasticd(**known, **applied), Draw3DElasticd(**known)


@pytest.mark.parametrize("size", [(16, 24), (33, 57), (8, 9), (24, 28, 20), (7, 10, 13)])
def test_an_elastic_map_is_what_monai_makes(size: tuple[int, ...]) -> None:
    theirs, ours = elastic(size)
    warp, still = Warpd(["image", "label"]), torch.eye(len(size) + 1)
    for seed in range(6):
        theirs.set_random_state(seed)
        ours.set_random_state(seed)
        expected = theirs(sample(size, seed))
        drawn = ours(sample(size, seed))
        assert float(drawn["displacement"].abs().max()) > 0.05
        found = warp({**drawn, "warp": still})
        assert torch.allclose(found["image"], torch.as_tensor(expected["image"]), atol=1e-4)
        assert float((found["label"] == torch.as_tensor(expected["label"])).float().mean()) > 0.998
        assert not {"warp", "displacement"} & set(found)


def waves(size: tuple[int, ...]) -> dict[str, Tensor]:
    """An image so smooth that a second interpolation blurs it hardly, with its label; both are zero towards the edges."""
    axes = [torch.linspace(-1, 1, n) for n in size]
    apart = sum(axis**2 for axis in torch.meshgrid(*axes, indexing="ij"))
    assert isinstance(apart, Tensor)
    image = torch.exp(-5 * apart)[None]
    return {"image": image, "label": (image > 0.4).float()}


@pytest.mark.parametrize("size", [(48, 64), (32, 40, 36)])
def test_both_maps_are_joined_in_the_order_of_monai(size: tuple[int, ...]) -> None:
    """One resampling gives what MONAI's two give, where a second interpolation changes little."""
    their_elastic, our_elastic = elastic(size)
    affine = RandAffined(**{**settings(size), "prob": 1.0}, mode=["bilinear", "nearest"], padding_mode="border")
    theirs = Compose([affine, their_elastic])
    ours = Compose([DrawAffined(**{**settings(size), "prob": 1.0}), our_elastic, Warpd(["image", "label"])])
    for seed in range(4):
        theirs.set_random_state(seed)
        ours.set_random_state(seed)
        expected, found = theirs(waves(size)), ours(waves(size))
        before = waves(size)["image"]
        error = (found["image"] - torch.as_tensor(expected["image"])).abs().max()
        moved = (found["image"] - before).abs().max()
        assert error < 0.03 and moved > 0.1, (seed, float(error), float(moved))
        assert float((found["label"] == torch.as_tensor(expected["label"])).float().mean()) > 0.98


def test_a_sample_for_which_nothing_was_drawn_stays_as_it_is() -> None:
    size = (12, 16)
    never, seen = elastic(size, prob=0.0)[1], sample(size, 3)
    steps = Compose([DrawAffined(**{**settings(size), "prob": 0.0}), never, Warpd(["image", "label"])])
    found = steps(seen)
    assert found["image"] is seen["image"] and found["label"] is seen["label"] and set(found) == {"image", "label"}


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
