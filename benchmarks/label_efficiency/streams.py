"""Augmented batches, made once by the bundle's own loader and given to every arm: the same samples in the same order.

That pairs the arms, and saves the augmentation for all but the first. Images are kept as float16 (an error below 0.0005 in
[-1, 1]) for every arm alike.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import torch

from monai_hybrid.transforms.views import TEACHER

Batch = dict[str, Any]
VIEWS = ("image", TEACHER)
KEEP_BYTES = 2**30


class Stream:
    """Batches of one fine-tuning or pretraining. Iterating starts anew; the first pass records, later ones replay.

    Args:
        make_loader: the bundle's DataLoader for all updates, with the random state of its transforms set.
        seed: of the order of the cases.
    """

    def __init__(self, make_loader: Callable[[], Iterable[Batch]], seed: int) -> None:
        self.make_loader, self.seed = make_loader, seed
        self.batches: list[Batch] = []
        self.complete = False
        self.keep = True

    def __iter__(self) -> Iterator[Batch]:
        recorded = self.batches if self.complete else self._record()
        return ({**batch, **{k: batch[k].float() for k in VIEWS if k in batch}} for batch in recorded)

    def _record(self) -> Iterator[Batch]:
        self.batches = []
        with torch.random.fork_rng(devices=[]):  # each sample seeds the generators; the arms' t and noise stay
            torch.manual_seed(self.seed)
            source = iter(self.make_loader())
            batch = next(source, None)
        while batch is not None:
            small = {
                **batch,  # with the maps that the batch is still to be warped by
                **{k: torch.as_tensor(batch[k]).half() for k in VIEWS if k in batch},
                "label": torch.as_tensor(batch["label"]).to(torch.uint8),
            }
            if self.keep:
                self.batches.append(small)
                self.keep = self.size() <= KEEP_BYTES
                if not self.keep:
                    self.batches = []  # too long to keep: each pass makes it again, from the same seeds
            yield small
            with torch.random.fork_rng(devices=[]):
                batch = next(source, None)
        self.complete = self.keep

    def size(self) -> int:
        """Bytes of what is kept."""
        if not self.batches:
            return 0
        return len(self.batches) * sum(self.batches[0][k].nbytes for k in (*VIEWS, "label") if k in self.batches[0])


class StreamStore:
    """The streams used last, up to `KEEP_BYTES` and a half in all."""

    def __init__(self) -> None:
        self.streams: OrderedDict[Hashable, Stream] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Stream]) -> Stream:
        """The stream of this key."""
        if key not in self.streams:
            self.streams[key] = make()
        self.streams.move_to_end(key)
        while len(self.streams) > 1 and sum(s.size() for s in self.streams.values()) > 1.5 * KEEP_BYTES:
            self.streams.popitem(last=False)
        return self.streams[key]


class Resumed:
    """One pass over a stream, however often the trainer asks for an iterator (it does each epoch)."""

    def __init__(self, stream: Stream) -> None:
        self.batches = iter(stream)

    def __iter__(self) -> Iterator[Batch]:
        return self.batches
