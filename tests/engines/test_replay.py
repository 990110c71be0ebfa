"""Nothing random has a memory: order, augmentation and noise follow from (seed, place in the run)."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import CacheDataset, DataLoader
from monai.transforms import Compose, RandGaussianNoised, Randomizable, Transform
from torch.utils.data import RandomSampler, SequentialSampler, WeightedRandomSampler
from torch.utils.data.distributed import DistributedSampler

from monai_hybrid.engines import ReplayableDataset, ReplayableSampler
from monai_hybrid.engines.replay import Draw, derived_seed

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
