"""Finished rods of logits become labels, entropy and (when asked for) probabilities on the input's own grid, piece by piece.

MONAI's own way is Activationsd, Invertd and AsDiscreted on the whole. It needs K x volume floats more than the sliding windows,
553 MB at 256 x 256 x 128 with 15 classes, and as much again for the entropy (`rods.py` names the command). The labels are
the same but for ties: `tests/inferers/test_input_grid.py` holds both side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from monai_hybrid.errors import ModelFileError
from monai_hybrid.inferers.grid_map import GridMap
from monai_hybrid.inferers.rods import TILE, Rod
from monai_hybrid.inferers.windows import Span
from monai_hybrid.quality.temperature import tempered

UINT16 = 65535
OnProbabilities = Callable[[Tensor, tuple[slice, ...]], None]


@dataclass
class Segmentation:
    """What is known about one image, on the input's own grid.

    Attributes:
        labels: (X, Y[, Z]) class index, uint8 (int16 for more than 256 classes).
        entropy_all: mean over all voxels of the entropy of the class probabilities, divided by log K: 0 sure, 1 knows nothing.
        entropy_foreground: the same over the predicted foreground; None when there is none.
        entropy: (X, Y[, Z]) uint16, 65535 = 1; None when it was not asked for.
        probabilities: (K, X, Y[, Z]) uint16, 65535 = 1; None when they were not asked for.
        precision: "float32" or "bfloat16" where it was chosen for this image, else None.
    """

    labels: Tensor
    entropy_all: float
    entropy_foreground: float | None
    entropy: Tensor | None = None
    probabilities: Tensor | None = None
    precision: str | None = None


class Emitter:
    """Takes rods in the order of the sweep and fills a `Segmentation`.

    Probabilities are interpolated, not logits: they are bounded, a mean of them is one again, and it is what Invertd did.
    Interpolation needs one slice of what lies before a rod along each cut axis; no more than that is kept.

    Args:
        target: the input's grid.
        axes: axes of the network's grid in the order of the sweep.
        keep_entropy, keep_probabilities: fill the maps; the second costs 2 K bytes a voxel.
        temperature: K numbers that calibrate the probabilities that are kept; labels and entropy stay those of the network.
        on_probabilities: called with each piece of the network's own probabilities, (K, x, y[, z]), and its place.
    """

    def __init__(
        self,
        target: GridMap,
        axes: Sequence[int],
        keep_entropy: bool = False,
        keep_probabilities: bool = False,
        temperature: Sequence[float] | None = None,
        on_probabilities: OnProbabilities | None = None,
    ) -> None:
        self.temperature, self.on_probabilities = temperature, on_probabilities
        self.own_axes, self.maps = zip(*[target.along(axis) for axis in axes], strict=True)
        self.shape, self.keep = target.shape, (keep_entropy, keep_probabilities)
        self.planes: dict[int, Tensor] = {}  # by the outer voxel after it: (K, 1, B[, C]), filled rod by rod
        self.lines: dict[Span, Tensor] = {}  # by outer span: (K, A + 1, 1[, C])
        self.sum_all = self.sum_foreground = 0.0
        self.num_foreground = 0
        self.labels: Tensor | None = None
        self.entropy: Tensor | None = None
        self.probabilities: Tensor | None = None

    def add(self, rod: Rod, inner_length: int) -> None:
        """Take one rod; `inner_length` is the length of the inner axis of the network's grid."""
        self._prepare(rod.logits)
        if all(m.is_exact for m in self.maps):
            self._add_exact(rod)
        else:
            self._add_interpolated(rod, inner_length)

    def _add_exact(self, rod: Rod) -> None:
        """No voxel lies between two: classes are chosen where the network is, and only they are moved."""
        second, rest = self.maps[1].finished(*rod.inner), [slice(0, m.length) for m in self.maps[2:]]
        for where, logits in rod.tiles():
            start = [rod.outer.start + where.start, rod.inner.start]
            wanted = [self.maps[0].finished(start[0], rod.outer.start + where.stop), second, *rest]
            labels, entropy, p = _read(logits, self.keep[1] or self.on_probabilities is not None)
            self._write(
                self._moved(labels[None], wanted, start)[0],
                self._moved(entropy[None], wanted, start)[0],
                None if p is None else self._moved(p, wanted, start),
                wanted,
            )

    def _add_interpolated(self, rod: Rod, inner_length: int) -> None:
        values = rod.logits
        for where, logits in rod.tiles():
            values[:, where] = _softmax_in_place(logits)
        start = [rod.outer.start, rod.inner.start]
        values, start = self._with_halo(values, rod, start, inner_length)
        first, second = (m.finished(*span) for m, span in zip(self.maps[:2], (rod.outer, rod.inner), strict=True))
        rest = [slice(0, m.length) for m in self.maps[2:]]
        area = (second.stop - second.start) * math.prod(r.stop for r in rest) * len(values)
        step = max(1, TILE // max(area, 1))
        for low in range(first.start, first.stop if area else first.start, step):
            wanted = [slice(low, min(low + step, first.stop)), second, *rest]
            p = self._moved(values, wanted, start).float()
            self._write(_first_largest(p - p.amax(0)), _entropy(p), p, wanted)

    def _moved(self, values: Tensor, wanted: list[slice], start: list[int]) -> Tensor:
        for axis, (m, w) in enumerate(zip(self.maps, wanted, strict=True)):
            values = m.apply(values, axis + 1, w, start[axis] if axis < 2 else 0)
        return values

    def result(self, name: str = "the image") -> Segmentation:
        """What was filled; `name` says in an error which image it was.

        Raises:
            ModelFileError: the network gave NaN or Inf.
        """
        assert self.labels is not None, "no rod was added"
        if not math.isfinite(self.sum_all):
            raise ModelFileError(
                f"{name}: the prediction holds NaN or Inf though the image does not: the weights are damaged, or half "
                "precision overflows (try --precision float32)"
            )
        mean = self.sum_foreground / self.num_foreground if self.num_foreground else None
        return Segmentation(self.labels, self.sum_all / self.labels.numel(), mean, self.entropy, self.probabilities)

    def _prepare(self, values: Tensor) -> None:
        if self.labels is not None:
            return
        self.labels = torch.zeros(self.shape, dtype=torch.uint8 if len(values) <= 256 else torch.int16)
        if self.keep[0]:
            self.entropy = torch.zeros(self.shape, dtype=torch.uint16)
        if self.keep[1]:
            self.probabilities = torch.zeros((len(values), *self.shape), dtype=torch.uint16)

    def _with_halo(self, values: Tensor, rod: Rod, start: list[int], inner_length: int) -> tuple[Tensor, list[int]]:
        """The rod with the last slice before it along the outer and the inner axis; what comes after will need is kept."""
        outer, inner = rod.outer, rod.inner
        if not self.maps[0].is_exact:
            if outer.stop not in self.planes:
                shape = list(values.shape)
                shape[1], shape[2] = 1, inner_length
                self.planes[outer.stop] = values.new_zeros(shape)
            self.planes[outer.stop][:, :, inner.start : inner.stop] = values[:, -1:]
            if outer.start > 0:
                before = self.planes[outer.start][:, :, inner.start : inner.stop]
                values, start = torch.cat([before, values], 1), [start[0] - 1, start[1]]
        if self.maps[1].is_exact:
            self._forget(outer, inner, inner_length)
            return values, start
        line = values[:, :, -1:].clone()
        if inner.start > 0:
            values, start = torch.cat([self.lines[outer], values], 2), [start[0], start[1] - 1]
        self.lines[outer] = line
        self._forget(outer, inner, inner_length)
        return values, start

    def _forget(self, outer: Span, inner: Span, inner_length: int) -> None:
        if inner.stop == inner_length:
            self.lines.pop(outer, None)
            self.planes.pop(outer.start, None)

    def _write(self, labels: Tensor, entropy: Tensor, p: Tensor | None, wanted: list[slice]) -> None:
        """Fill a piece; `entropy` over log K, (A, B[, C])."""
        assert self.labels is not None
        place = tuple(dict(zip(self.own_axes, wanted, strict=True))[axis] for axis in range(len(self.shape)))
        order = [self.own_axes.index(axis) for axis in range(len(self.shape))]
        foreground = labels > 0
        self.sum_all += float(entropy.sum())
        self.sum_foreground += float((entropy * foreground).sum())
        self.num_foreground += int(foreground.count_nonzero())
        self.labels[place] = labels.permute(order).to("cpu", self.labels.dtype)
        if self.entropy is not None:
            self.entropy[place] = _uint16(entropy).permute(order)
        if p is None:
            return
        if self.on_probabilities is not None:
            self.on_probabilities(p.permute(0, *(o + 1 for o in order)), place)
        if self.probabilities is not None:
            p = p if self.temperature is None else tempered(p, self.temperature)
            self.probabilities[(slice(None), *place)] = _uint16(p).permute(0, *(o + 1 for o in order))


def _read(logits: Tensor, keep_probabilities: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """Class (the first of equals), entropy over log K and, if asked for, probabilities; the (K, ...) logits are written over.

    With d = z - max z and s = sum exp d the entropy is log s - sum(d exp d) / s: no logarithm for each class.
    """
    d = logits.sub_(logits.amax(0))
    labels = _first_largest(d)
    exp = d.exp()
    total = exp.sum(0)
    p = exp / total if keep_probabilities else None
    entropy = total.log().sub_(d.mul_(exp).sum(0).div_(total)).div_(math.log(len(d))).clamp_(0.0, 1.0)
    return labels, entropy, p


def _first_largest(d: Tensor) -> Tensor:
    """Class of the largest of (K, ...) numbers, of equals the first, by their distances d from it: 0 there, below elsewhere.

    max(0)[1] goes number by number with a branch each; this is one vector addition: K - k where d = 0, far below elsewhere.
    """
    num_classes = len(d)
    descending = torch.arange(num_classes, 0, -1, dtype=torch.float32, device=d.device).view(-1, *[1] * (d.ndim - 1))
    highest = torch.add(descending, d, alpha=1e38).amax(0)
    return (num_classes - highest).to(torch.uint8 if num_classes <= 256 else torch.int16)


def _softmax_in_place(logits: Tensor) -> Tensor:
    """Softmax over axis 0."""
    exp = logits.sub_(logits.amax(0)).exp_()
    return exp.div_(exp.sum(0))


def _entropy(p: Tensor) -> Tensor:
    """Of (K, ...) probabilities, over log K. special.entr does the same, three times slower."""
    return p.clamp(min=1e-12).log_().mul_(p).sum(0).div_(-math.log(len(p))).clamp_(0.0, 1.0)


def _uint16(x: Tensor) -> Tensor:
    return (x * UINT16 + 0.5).to("cpu", torch.int32).to(torch.uint16)
