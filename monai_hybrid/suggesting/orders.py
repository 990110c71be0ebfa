"""Orders in which scans may be labelled: by groups, by spread, by error, entropy or predicted Dice, or by chance.

`typical` is TypiClust (Hacohen et al., ICML 2022), made for a handful of labels: as many groups as labels, of each the scan in
whose neighbourhood most others lie. `spread` is the greedy k-centre (Sener & Savarese, ICLR 2018): each next scan is the one
farthest from all before. All are functions of their input: no run draws another order.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.cluster.vq import kmeans2

from data_prep.volume import Array

DEFAULT = "random"  # no other was shown to beat it, see docs/how-to/label-next.md
ORDERS = ("random", "typical", "spread", "error", "entropy", "dice")
HIGHEST_FIRST = {"error": 1, "entropy": 1, "dice": -1}  # signals; of the predicted Dice the lowest comes first
NEIGHBOURS = 20
ROUNDS = 50  # of k-means
SEED = 0


def ordered(
    order: str,
    number: int,
    features: Array,
    known: Array | None = None,
    signals: Mapping[str, Sequence[float | None]] | None = None,
    seed: int = SEED,
) -> list[int]:
    """The scans to label, the first first.

    Args:
        order: one of `ORDERS`.
        number: how many; of fewer candidates, all.
        features: (N, F) of every scan.
        known: (N,) bool, scans that have a label already; they are covered and never chosen.
        signals: "error", "entropy" and "dice" of every scan, None where there is none. The highest comes first, of "dice" the
            lowest.
        seed: of "random".

    Raises:
        ValueError: an unknown order.
    """
    if order not in ORDERS:
        raise ValueError(f"order: got {order!r}, expected one of {', '.join(ORDERS)}")
    known = np.zeros(len(features), bool) if known is None else np.asarray(known, bool)
    number = min(number, int((~known).sum()))
    if order == "random":
        return [int(i) for i in np.random.default_rng(seed).permutation(np.flatnonzero(~known))[:number]]
    if order in HIGHEST_FIRST:
        sign = HIGHEST_FIRST[order]
        values = [-np.inf if value is None else sign * float(value) for value in (signals or {})[order]]
        return sorted(np.flatnonzero(~known).tolist(), key=lambda i: (-values[i], i))[:number]
    x = scaled(features)
    return typical(x, known, number) if order == "typical" else spread(x, known, number)


def scaled(features: Array) -> Array:
    """(N, F) with mean 0 and spread 1 over the scans; features that are the same in all say nothing and become 0."""
    x = np.asarray(features, np.float64)
    deviation = x.std(axis=0)
    varies = deviation > 1e-6 * np.maximum(1.0, np.abs(x).max(axis=0))
    return np.where(varies, (x - x.mean(axis=0)) / np.where(varies, deviation, 1.0), 0.0)


def spread(x: Array, known: Array, number: int) -> list[int]:
    """Greedy k-centre: the scan nearest to the middle where nothing is known, then always the farthest from all chosen."""
    chosen: list[int] = []
    far = _distances(x, x[known]).min(axis=1) if known.any() else np.full(len(x), np.inf)
    for _ in range(number):
        if np.isinf(far).any():
            at = int(_distances(x, x.mean(axis=0, keepdims=True))[:, 0].argmin())
        else:
            at = int(np.where(known | np.isin(np.arange(len(x)), chosen), -1.0, far).argmax())
        chosen.append(at)
        far = np.minimum(far, _distances(x, x[[at]])[:, 0])
    return chosen


def typical(x: Array, known: Array, number: int) -> list[int]:
    """One scan a group, the largest group without a label first: the scan with the nearest neighbours in its group."""
    groups = _groups(x, [*np.flatnonzero(known).tolist(), *spread(x, known, number)])
    covered = np.bincount(groups[known], minlength=groups.max() + 1)
    size = np.bincount(groups, minlength=len(covered))
    open_ = ~known
    chosen: list[int] = []
    for _ in range(number):
        group = min(set(groups[open_].tolist()), key=lambda g: (covered[g], -size[g], g))
        inside = np.flatnonzero(groups == group)
        near = np.sort(_distances(x[inside], x[inside]), axis=1)[:, 1 : NEIGHBOURS + 1]
        loneliness = near.mean(axis=1) if near.size else np.zeros(len(inside))
        at = int(inside[np.where(open_[inside], loneliness, np.inf).argmin()])
        chosen.append(at)
        open_[at] = False
        covered[group] += 1
    return chosen


def _groups(x: Array, centres: list[int]) -> Array:
    """(N,) the group of each scan, by k-means from these scans on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a group may become empty
        return kmeans2(x, x[centres], iter=ROUNDS, minit="matrix")[1]


def _distances(a: Array, b: Array) -> Array:
    """(N, M) Euclidean."""
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))
