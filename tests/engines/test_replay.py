"""Nothing random has a memory: order, augmentation and noise follow from (seed, place in the run)."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import CacheDataset, DataLoader, MetaTensor, get_track_meta
from monai.transforms import (
    Compose,
    EnsureTyped,
    RandAffined,
    RandCropByPosNegLabeld,
    RandGaussianNoised,
    Randomizable,
    Transform,
)
from torch.utils.data import RandomSampler, SequentialSampler, WeightedRandomSampler
from torch.utils.data.distributed import DistributedSampler

from monai_hybrid.engines import ReplayableDataset, ReplayableSampler
from monai_hybrid.engines.replay import Draw, derived_seed, seed_everything

CASES = [{"image": torch.full((1, 4), float(i))} for i in range(5)]


class GlobalNoise(Transform, Randomizable):
    """A transform that draws from the global generators, as foreign ones may."""

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "global": torch.tensor([random.random(), float(np.random.rand()), float(torch.rand(()))])}


def sampler(kind: str = "random", seed: int | None = 3, rank: int = 0, num_samples: int = 12) -> ReplayableSampler:
    inner: dict[str, Any] = {
        "random": RandomSampler(CASES, num_samples=12),
        "weighted": WeightedRandomSampler([0.1, 0.3, 0.2, 0.2, 0.2], 12),
        "short": SequentialSampler(CASES),
        "distributed": DistributedSampler(CASES, num_replicas=2, rank=rank, shuffle=True),
    }
    return ReplayableSampler(inner[kind], num_samples, seed, rank)


def draws(of: ReplayableSampler, epoch: int, first: int = 0) -> list[Draw]:
    of.start(epoch, first)
    return list(of)


@pytest.mark.parametrize("kind", ["random", "weighted", "short", "distributed"])
def test_an_epoch_is_the_same_whatever_came_before_and_can_be_entered_anywhere(kind: str) -> None:
    whole = draws(sampler(kind), 4)
    torch.manual_seed(99)
    other = sampler(kind)
    draws(other, 0)
    assert draws(other, 4) == whole and len(whole) == 12
    assert draws(other, 4, first=7) == whole[7:]
    assert all(isinstance(d, Draw) and 0 <= d.case < 5 for d in whole)


def test_epochs_seeds_and_ranks_differ_and_no_seed_comes_twice() -> None:
    lists = [draws(sampler(seed=s, rank=r), e) for s in (3, 4) for r in (0, 1) for e in (0, 1)]
    assert len({tuple(d.case for d in one) for one in lists}) == 8
    assert len({d.seed for one in lists for d in one}) == 8 * 12


def test_a_distributed_epoch_deals_out_every_case_once_a_turn() -> None:
    ranks = [draws(sampler("distributed", rank=r, num_samples=3), 2) for r in (0, 1)]
    assert {d.case for one in ranks for d in one} == set(range(5))


def test_torchs_generator_is_left_alone_and_without_a_seed_it_decides() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    draws(sampler(), 0)
    assert torch.equal(torch.get_rng_state(), before)
    orders = [list(sampler(seed=None)) for _ in range(4)]
    assert all(isinstance(i, int) for one in orders for i in one) and len({tuple(one) for one in orders}) > 1


def batches(workers: int, epoch: int = 1, first: int = 0) -> list[dict[str, Any]]:
    transform = Compose([RandGaussianNoised("image", prob=0.7), GlobalNoise()])
    place = sampler()
    place.start(epoch, first)
    data = ReplayableDataset(CASES, transform, progress=False)
    return list(DataLoader(data, batch_size=3, sampler=place, num_workers=workers))


def test_augmentation_is_the_same_with_any_number_of_loader_processes_and_from_any_place() -> None:
    torch.manual_seed(0)
    alone = batches(0)
    torch.manual_seed(1)
    with_workers, late = batches(2), batches(0, first=6)
    for key in ("image", "global"):
        assert all(torch.equal(a[key], b[key]) for a, b in zip(alone, with_workers, strict=True))
        assert all(torch.equal(a[key], b[key]) for a, b in zip(alone[2:], late, strict=True))
    assert len({float(v) for batch in alone for v in batch["global"][:, 2]}) == 12
    assert not torch.equal(alone[0]["global"], batches(0, epoch=2)[0]["global"])


def test_a_plain_index_is_monais_own_business() -> None:
    ours, theirs = ReplayableDataset(CASES, [], progress=False), CacheDataset(CASES, [], progress=False)
    assert torch.equal(ours[2]["image"], theirs[2]["image"]) and len(ours[1:3]) == len(theirs[1:3]) == 2


def test_seeds_are_well_mixed() -> None:
    seeds = {derived_seed(a, b, c) for a in range(10) for b in range(10) for c in range(10)}
    assert len(seeds) == 1000 and all(0 <= s < 2**32 for s in seeds)


def augmented(**settings: Any) -> ReplayableDataset:
    """Two volumes under the bundles' kind of pipeline."""
    generator = torch.Generator().manual_seed(0)
    keys = ["image", "label"]
    image = torch.randn(2, 1, 14, 12, 10, generator=generator)
    cases = [{"image": MetaTensor(v), "label": MetaTensor((v > 0.5).float())} for v in image]
    steps: list[Any] = [
        EnsureTyped(keys, track_meta=False),
        RandCropByPosNegLabeld(keys, "label", [8, 8, 8], pos=1, neg=1, num_samples=1),
        RandAffined(
            keys, prob=0.6, rotate_range=[0.3] * 3, scale_range=[0.2] * 3, mode=["bilinear", "nearest"], padding_mode="border"
        ),
        RandGaussianNoised("image", prob=0.5),
    ]
    return ReplayableDataset(cases, Compose(steps), progress=False, **settings)


def test_a_draw_gives_monais_values_as_plain_tensors() -> None:
    ours, theirs = augmented(copy_cache=False), augmented()
    for number in range(12):
        draw = Draw(number % 2, derived_seed(number))
        mine = ours[draw][0]
        theirs.transform.set_random_state(seed=draw.seed)
        seed_everything(draw.seed)
        other = theirs[draw.case][0]  # MONAI's way
        assert all(torch.equal(mine[key], torch.as_tensor(other[key])) for key in ("image", "label"))
        assert type(mine["image"]) is torch.Tensor
    assert get_track_meta()


def test_augmenting_leaves_the_cache_as_it_is_though_nothing_is_copied() -> None:
    data = augmented(copy_cache=False)
    assert data._cache is not None
    before = [{key: case[key].clone() for key in case} for case in data._cache]
    for number in range(20):
        data[Draw(number % 2, number)]
    assert all(torch.equal(a[key], b[key]) for a, b in zip(before, data._cache, strict=True) for key in a)


def test_a_draw_is_the_same_from_the_cache_and_without_it() -> None:
    cached, not_cached = augmented(), augmented(cache_rate=0.0)
    assert not_cached.cache_num == 0
    for draw in (Draw(0, 5), Draw(1, 6), Draw(-1, 7)):
        assert torch.equal(cached[draw][0]["image"], not_cached[draw][0]["image"])


class Failing(Transform, Randomizable):
    def __call__(self, data: Any) -> Any:
        raise ValueError("a transform failed")


def test_the_switch_of_monai_is_put_back_when_a_transform_fails() -> None:
    data = ReplayableDataset(CASES, Compose([Failing()]), progress=False)
    with pytest.raises(RuntimeError):
        data[Draw(0, 1)]
    assert get_track_meta()


def test_a_draw_without_random_transforms_is_the_case() -> None:
    data = ReplayableDataset(CASES, Compose([EnsureTyped("image")]), progress=False)
    assert torch.equal(torch.as_tensor(data[Draw(3, 1)]["image"]), CASES[3]["image"])


def test_everything_is_seeded() -> None:
    seed_everything(11)
    first = random.random(), float(np.random.rand()), float(torch.rand(()))
    torch.manual_seed(11)
    assert first[2] == float(torch.rand(()))
    seed_everything(11)
    assert first == (random.random(), float(np.random.rand()), float(torch.rand(())))
