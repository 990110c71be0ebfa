"""Sliding-window prediction that gives each part of the volume away as soon as no later window touches it.

The windows, their weights and the blend are MONAI's; what is ours is when a part is let go. Beyond the network, 256 x 256 x 128
voxels, 15 classes, windows of 64 (`python -m benchmarks.speed.sliding_window --classes 15`), these files (`rods`, `windows`,
`grid_map`, `emit`) take 112 MB to labels and entropy. MONAI's SlidingWindowInferer holds K x volume floats until the end:
594 MB to labels alone. With `buffer_steps=1` it still returns K x volume: 825 MB, and twice the time. SlidingWindowInfererAdapt
only changes what happens when a GPU is full: 594 MB. With softmax and Invertd, as bundles post-process, 1147 MB and twice the
time. Here only the part that is still open is held: about (overlap x window) slices of the outer axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from monai.data.utils import compute_importance_map
from torch import Tensor
from torch.nn import functional as F

from monai_hybrid.inferers.windows import Span, WindowPlan, plan_windows

FULL_PRECISION_BYTES = 128 * 2**20  # of open logits; beyond it they are held in half precision
HALF_MAX = torch.finfo(torch.float16).max
EMPTY_LOGIT = 20.0  # background where no window looked
TILE = 2**17  # float32 numbers worked on at a time: 512 KB, about what stays in a core's own cache

Key = tuple[Span, Span]


@dataclass(frozen=True)
class Rod:
    """A finished piece of the volume, whole along its last axis.

    Attributes:
        logits: (K, A, B[, C]), axes in the order of the sweep, the weighted sum over the windows.
        outer, inner: where A and B lie, in voxels of the unpadded image.
        weights: (A, B[, C]) sum of the windows' weights; None where `logits` is the mean already.
    """

    logits: Tensor
    outer: Span
    inner: Span
    weights: Tensor | None = None

    def tiles(self) -> Iterator[tuple[slice, Tensor]]:
        """Slices of A, a few at a time (about TILE numbers), and the float32 mean logits there, which may be written over."""
        step = max(1, TILE // max(self.logits[:, :1].numel(), 1))
        for first in range(0, self.logits.shape[1], step):
            where = slice(first, min(first + step, self.logits.shape[1]))
            mean = self.logits[:, where].to(torch.float32, copy=True)
            yield where, mean if self.weights is None else mean.div_(self.weights[where])


def finished_rods(
    image: Tensor,
    network: Callable[[Tensor], Tensor],
    roi: Sequence[int],
    overlap: float = 0.5,
    sw_batch_size: int = 1,
    skip_empty: bool = False,
    on_windows: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[tuple[int, ...], Rod]]:
    """Segment by sliding windows and yield (axes in the order of the sweep, rod), in the order of the sweep.

    Args:
        image: (1, C, X, Y[, Z]) float; smaller than a window: replicated at the edges, as by MONAI.
        network: (B, C, *roi) -> (B, K, *roi) logits.
        roi: window, voxels.
        overlap: share of a window that its neighbour covers too, in [0, 1).
        sw_batch_size: windows a call of the network.
        skip_empty: windows in which every channel is constant at its smallest value of the image are not looked at; what only
            such windows cover is background.
        on_windows: called with (windows done, windows in all).
    """
    size = tuple(image.shape[2:])
    roi = tuple(int(r) if r and r > 0 else n for r, n in zip(roi, size, strict=True))
    before = [max(r - n, 0) // 2 for r, n in zip(roi, size, strict=True)]
    image = _padded(torch.as_tensor(image), roi, before)
    plan = plan_windows(image.shape[2:], roi, overlap)
    blend = _Blend(plan, image, network)
    done = 0
    for first in range(0, len(plan.windows), sw_batch_size):
        batch = plan.windows[first : first + sw_batch_size]
        looked_at = [w for w in batch if not (skip_empty and _is_empty(image, w, roi))]
        blend.skipped |= len(looked_at) < len(batch)
        blend.add(looked_at)
        if on_windows is not None:
            on_windows(first + len(batch), len(plan.windows))
        while done < len(plan.rods) and plan.rods[done][2] < first + len(batch):
            outer, inner, _ = plan.rods[done]
            done += 1
            total, mass = blend.pop((outer, inner))
            rod = _cropped(Rod(total, outer, inner, mass), plan.axes, before, size)
            if rod is not None:
                yield plan.axes, rod


class _Blend:
    """The open rods: weighted sums of logits, and of weights. They lie in memory in the image's order of axes, as logits do."""

    def __init__(self, plan: WindowPlan, image: Tensor, network: Callable[[Tensor], Tensor]) -> None:
        self.plan, self.image, self.network = plan, image, network
        self.weight = compute_importance_map(plan.roi, mode="gaussian", sigma_scale=0.125, device=image.device)
        self.open: dict[Key, tuple[Tensor, Tensor]] = {}
        self.dtype: torch.dtype | None = None
        self.num_classes, self.skipped = 0, False

    def add(self, windows: Sequence[tuple[int, ...]]) -> None:
        """Call the network on some windows and add what it says."""
        if not windows:
            return
        parts = [_window(self.image, w, self.plan.roi) for w in windows]
        logits = self.network(torch.cat(parts) if len(parts) > 1 else parts[0])
        self._settle(logits.shape[1])
        for window, said in zip(windows, logits, strict=True):
            self._add_one(window, torch.as_tensor(said))

    def _settle(self, num_classes: int) -> None:
        if self.dtype is None:
            self.num_classes = num_classes
            held = 4 * num_classes * _most_open(self.plan)
            self.dtype = torch.float32 if held <= FULL_PRECISION_BYTES else torch.float16

    def _add_one(self, window: tuple[int, ...], said: Tensor) -> None:
        outer, inner = self.plan.axes[:2]
        for a, b in self.plan.under(window):
            total, mass = self._rod((a, b))
            start, size = list(window), list(self.plan.roi)
            for axis, span in ((outer, a), (inner, b)):
                start[axis], size[axis] = span.start, span.stop - span.start
            there = tuple(
                slice(0, size[axis]) if axis in (outer, inner) else slice(start[axis], start[axis] + size[axis])
                for axis in range(len(size))
            )
            here = tuple(slice(s - w, s - w + n) for s, w, n in zip(start, window, size, strict=True))
            _add_weighted(total[(slice(None), *there)], said[(slice(None), *here)], self.weight[here])
            mass[there].add_(self.weight[here])

    def _rod(self, key: Key) -> tuple[Tensor, Tensor]:
        if key not in self.open:
            shape = list(self.plan.shape)
            for axis, span in zip(self.plan.axes[:2], key, strict=True):
                shape[axis] = span.stop - span.start
            total = torch.zeros(self.num_classes, *shape, dtype=self.dtype, device=self.image.device)
            self.open[key] = (total, torch.zeros(shape, device=self.image.device))
        return self.open[key]

    def pop(self, key: Key) -> tuple[Tensor, Tensor]:
        """Weighted sum and weights of a rod, axes in the order of the sweep; the rod is closed."""
        if self.dtype is None:  # nothing but empty windows so far; ask the network for K once
            self._settle(self.network(_window(self.image, self.plan.windows[0], self.plan.roi)).shape[1])
        total, mass = self._rod(key)
        del self.open[key]
        if self.skipped:
            unseen = mass == 0
            total[0].masked_fill_(unseen, EMPTY_LOGIT)
            mass = mass.masked_fill(unseen, 1.0)
        return total.permute(0, *(axis + 1 for axis in self.plan.axes)), mass.permute(self.plan.axes)


def _add_weighted(total: Tensor, logits: Tensor, weight: Tensor) -> None:
    """total += logits x weight. Half-precision sums are added to in float32, a few classes at a time, within the cache."""
    if total.dtype == logits.dtype == torch.float32:
        total.addcmul_(logits, weight)
        return
    step = max(1, TILE // weight.numel())
    for k in range(0, len(total), step):
        sums = total[k : k + step].clone().float()  # in two steps: converting scattered rows takes three times as long
        sums.addcmul_(logits[k : k + step].float(), weight)
        total[k : k + step] = sums.clamp_(-HALF_MAX, HALF_MAX) if total.dtype == torch.float16 else sums


def _most_open(plan: WindowPlan) -> int:
    """Voxels of the rods that are open when a row of windows along the outer axis is in full course, at most."""
    outer = plan.axes[0]
    starts = sorted({w[outer] for w in plan.windows})
    step = starts[1] - starts[0] if len(starts) > 1 else 0
    return max(plan.roi[outer] - step, 1) * math.prod(plan.shape[axis] for axis in plan.axes[1:])


def _window(image: Tensor, start: Sequence[int], length: Sequence[int]) -> Tensor:
    for axis, (s, n) in enumerate(zip(start, length, strict=True), start=2):
        image = image.narrow(axis, s, n)
    return image


def _padded(image: Tensor, roi: Sequence[int], before: Sequence[int]) -> Tensor:
    pads = []
    for axis in reversed(range(len(roi))):
        missing = max(roi[axis] - image.shape[axis + 2], 0)
        pads += [before[axis], missing - before[axis]]
    return F.pad(image, pads, mode="replicate") if any(pads) else image


def _cropped(rod: Rod, axes: Sequence[int], before: Sequence[int], size: Sequence[int]) -> Rod | None:
    """The rod without padding, at its place in the unpadded image; None when nothing is left."""
    spans, cut = [], []
    for axis, span in zip(axes[:2], (rod.outer, rod.inner), strict=True):
        low, high = max(span.start - before[axis], 0), min(span.stop - before[axis], size[axis])
        if low >= high:
            return None
        spans.append(Span(low, high))
        cut.append(slice(low + before[axis] - span.start, high + before[axis] - span.start))
    cut += [slice(before[axis], before[axis] + size[axis]) for axis in axes[2:]]
    weights = None if rod.weights is None else rod.weights[tuple(cut)]
    return Rod(rod.logits[(slice(None), *cut)], spans[0], spans[1], weights)


def _is_empty(image: Tensor, window: Sequence[int], roi: Sequence[int]) -> bool:
    """Whether every channel is constant at its smallest value over the image."""
    part = _window(image, window, roi)[0].flatten(1)
    return bool((part.amax(1) <= image[0].flatten(1).amin(1)).all())
