"""Randomness as a function of (seed, place in the run): a run can go on from any update as if it had never stopped.

Nothing random has a memory: the order of an epoch follows from (seed, epoch), the augmentation of a sample from (seed, its
number in the run), timesteps and noise from (seed, update). So a checkpoint needs no state of a generator, and the number of
loader processes does not change the result.

MONAI's `set_determinism` with a CacheDataset seeds the start of a run alone. Of a run of 12 samples that went on after 6, none
of the other 6 was as in the whole run, and with two loader processes none of the 12; here all are. Command:
`python -m benchmarks.own_parts resume`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import CacheDataset, get_track_meta, set_track_meta
from monai.transforms import Compose, RandomizableTrait, Transform
from torch.utils.data import Sampler
from torch.utils.data.distributed import DistributedSampler

from data_prep.progress import Ticker
from monai_hybrid.engines.volume_cache import VolumeCache

ORDER, SAMPLE, UPDATE = range(3)  # streams that share a seed and nothing else


class Draw(NamedTuple):
    """A case to draw, and the seed of everything random that happens to it."""

    case: int
    seed: int


def derived_seed(*numbers: int) -> int:
    """A seed in [0, 2^32) from several whole numbers, well mixed (numpy's SeedSequence)."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def seed_everything(seed: int) -> None:
    """Seed python, numpy and torch (CPU and CUDA); once a sample, so without the other devices of `torch.manual_seed`."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # False in a forked loader process, which has no CUDA
        torch.cuda.manual_seed_all(seed)


class ReplayableSampler(Sampler[Any]):
    """Another sampler's indices, repeated to the length of an epoch, in an order that follows from (seed, rank, epoch).

    Args:
        sampler: gives the indices; a random one draws from torch's global generator or is a `DistributedSampler`.
        num_samples: samples an epoch.
        seed: of the run; None leaves the order to torch's generator, and such a run cannot be replayed.
        rank: this process's rank.
    """

    def __init__(self, sampler: Sampler[int], num_samples: int, seed: int | None = 0, rank: int = 0) -> None:
        self.sampler, self.num_samples, self.seed, self.rank = sampler, num_samples, seed, rank
        self.start(0)

    def start(self, epoch: int, first: int = 0) -> None:
        """Let the next pass be epoch `epoch` (from 0), without its samples before `first`."""
        self.epoch, self.first = epoch, first

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[Any]:
        order, numbers = self._order(), range(self.first, self.num_samples)
        if self.seed is None:
            return iter([order[n] for n in numbers])
        before = self.epoch * self.num_samples
        return iter([Draw(order[n], derived_seed(self.seed, SAMPLE, self.rank, before + n)) for n in numbers])

    def _order(self) -> list[int]:
        """All indices of the epoch; torch's generator is left as it was."""
        state = torch.get_rng_state()
        if self.seed is not None:
            torch.default_generator.manual_seed(derived_seed(self.seed, ORDER, self.rank, self.epoch))
        order: list[int] = []
        for turn in range(self.num_samples):  # each turn gives at least one index
            if isinstance(self.sampler, DistributedSampler):  # the same on all ranks: it deals the cases out
                self.sampler.set_epoch(derived_seed(self.seed or 0, ORDER, self.epoch, turn) // 2)
            order += list(self.sampler)
            if len(order) >= self.num_samples:
                break
        if self.seed is not None:
            torch.set_rng_state(state)
        return order[: self.num_samples]


@contextmanager
def untracked() -> Iterator[None]:
    """Let MONAI's transforms give plain tensors: following the affine through an augmentation costs more than augmenting."""
    before = get_track_meta()
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(before)


class ReplayableDataset(CacheDataset):
    """MONAI's CacheDataset that also takes a `Draw`: its random transforms are seeded before they run.

    A `Draw`'s random transforms follow no affine: they give plain tensors with the values that MONAI gives.

    Args:
        data, transform, settings: of MONAI's class.
        cache_dir: folder of a `VolumeCache`; what is cached then lies there and is memory-mapped, and what `cache_rate` leaves
            out is read from there too. None keeps it in memory.
    """

    def __init__(self, data: Sequence[Any], transform: Any, cache_dir: str | Path | None = None, **settings: Any) -> None:
        self.volumes: VolumeCache | None = None
        if cache_dir:
            flat = (transform if isinstance(transform, Compose) else Compose(transform)).flatten().transforms
            self.volumes = VolumeCache(cache_dir, list(takewhile(lambda t: not _may_be_random(t), flat)))
            self.volumes.announce(data)
        self.filling: Ticker | None = Ticker("volumes prepared", len(data))
        super().__init__(data, transform, **settings)
        self.filling = None

    def _fill_cache(self, indices: Sequence[int] | None = None) -> list[Any]:
        """As MONAI does it; but when a case fails nobody is still writing another one as the error leaves."""
        with ThreadPoolExecutor(self.num_workers) as pool:
            return list(pool.map(self._load_cache_item, range(self.cache_num) if indices is None else indices))

    def _load_cache_item(self, idx: int) -> Any:
        if self.filling is not None:
            self.filling.step()
        if self.volumes is None:
            return super()._load_cache_item(idx)
        return self.volumes.item(self.data[idx], lambda: super(ReplayableDataset, self)._load_cache_item(idx))

    def __getitem__(self, index: Any) -> Any:
        """The transformed case of an index (as MONAI does it) or of a `Draw`."""
        if not isinstance(index, Draw):
            return super().__getitem__(index)
        self.transform.set_random_state(seed=index.seed)
        seed_everything(index.seed)  # for transforms that use a global generator
        if self.hash_as_key or self.runtime_cache:  # MONAI's own ways to find a cached case
            return super().__getitem__(index.case)
        case = index.case % len(self)
        if case < self.cache_num:
            item = deepcopy(self._cache[case]) if self.copy_cache else self._cache[case]
        else:
            item = self._load_cache_item(case)
        first = self.transform.get_index_of_first(_may_be_random)
        if first is None:
            return item
        with untracked():
            return self.transform(item, start=first)


def _may_be_random(transform: Any) -> bool:
    """MONAI's rule for where the cached part of a pipeline ends."""
    return isinstance(transform, RandomizableTrait) or not isinstance(transform, Transform)


class SeededUpdates:
    """Seed timesteps and noise of every update from (seed, rank, update), and tell the sampler where the run is.

    Args:
        sampler: of the training data.
        batch_size: samples an update.
    """

    def __init__(self, sampler: ReplayableSampler, batch_size: int) -> None:
        self.sampler, self.batch_size = sampler, batch_size

    def attach(self, engine: Engine) -> None:
        """At the start of each epoch and of each update, which is after its batch was fetched."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.start_epoch)
        if self.sampler.seed is not None:
            engine.add_event_handler(Events.ITERATION_STARTED, self.start_update)

    def start_epoch(self, engine: Engine) -> None:
        """Place the sampler; within an epoch only when the run goes on from a checkpoint."""
        done = engine.state.iteration % (engine.state.epoch_length or 1)
        self.sampler.start(engine.state.epoch - 1, done * self.batch_size)

    def start_update(self, engine: Engine) -> None:
        """Seed the generators that draw timesteps and noise."""
        assert self.sampler.seed is not None
        seed_everything(derived_seed(self.sampler.seed, UPDATE, self.sampler.rank, engine.state.iteration))
