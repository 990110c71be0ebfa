"""Temperatures that calibrate probabilities, fitted on held-out voxels; the winning class of a voxel never changes.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017. One temperature for all classes, or one a class that wins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy  # its parts load when they are called
import torch
from torch import Tensor

from data_prep.volume import Array
from monai_hybrid.quality_schema import COLDEST, HOTTEST

SMALLEST = 1e-6  # of a probability: an exact zero says nothing of how sure it was
FEWEST_VOXELS, FEWEST_PATIENTS = 2000, 5  # of a class that wins, for a temperature of its own


def tempered(p: Tensor, temperature: Sequence[float]) -> Tensor:
    """(K, ...) probabilities, each voxel's raised to 1 / T of its winning class and normalised again; float32.

    Args:
        p: (K, ...) in [0, 1].
        temperature: K numbers above 0; equal ones are one temperature. 1 leaves a voxel as it is.
    """
    T = torch.as_tensor(temperature, dtype=torch.float32, device=p.device)
    logits = p.float().clamp(min=SMALLEST).log_()
    return (logits / T[logits.max(0)[1]]).softmax(0)


def fit_temperature(p: Array, classes: Array, patients: Sequence[str]) -> list[float] | None:
    """K temperatures of least cross-entropy: one for all, or one a winning class where that is better for patients left out.

    None where one temperature for all does not help more than half of the patients, each left out in turn: a single bad patient
    would make the probabilities of all others too unsure.

    Args:
        p: (N, K) probabilities of voxels.
        classes: (N,) true class index.
        patients: (N,) whose voxel it is.
    """
    names, num_classes = np.asarray(patients), p.shape[1]
    better, gain = 0, 0.0
    for patient in sorted(set(patients)):
        out = names == patient
        one = _best(p[~out], classes[~out])
        shared = [one] * num_classes
        with_shared = cross_entropy(p[out], classes[out], shared)
        better += with_shared < cross_entropy(p[out], classes[out], [1.0] * num_classes)
        if len(set(patients)) >= FEWEST_PATIENTS:
            own = _by_class(p[~out], classes[~out], names[~out], one)
            gain += with_shared - cross_entropy(p[out], classes[out], own)
    if 2 * better <= len(set(patients)):
        return None
    one = _best(p, classes)
    return _by_class(p, classes, names, one) if gain > 0 else [one] * num_classes


def _by_class(p: Array, classes: Array, patients: Array, one: float) -> list[float]:
    """A temperature a winning class, `one` of all for a class with few voxels or patients."""
    winning = p.argmax(1)
    found = []
    for k in range(p.shape[1]):
        there = winning == k
        enough = there.sum() >= FEWEST_VOXELS and len(set(patients[there])) >= FEWEST_PATIENTS // 2
        found.append(_best(p[there], classes[there]) if enough else one)
    return found


def _best(p: Array, classes: Array) -> float:
    """The one temperature of least `cross_entropy`, four digits."""
    logits = torch.as_tensor(p).T.float().clamp(min=SMALLEST).log_().contiguous()
    true = torch.as_tensor(classes, dtype=torch.int64)[None]

    def loss(log_t: float) -> float:
        q = (logits / torch.tensor(np.exp(log_t), dtype=torch.float32)).softmax(0).gather(0, true)[0]
        return float(-q.clamp(min=SMALLEST).log().mean())

    found = scipy.optimize.minimize_scalar(
        loss,
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
    )
    return min(max(float(f"{np.exp(found.x):.4g}"), COLDEST), HOTTEST)


def cross_entropy(p: Array, classes: Array, temperature: Sequence[float]) -> float:
    """Mean of -log of the true class's probability (N, K) after the temperature, in nats."""
    q = tempered(torch.as_tensor(p).T, temperature).T
    true = q[torch.arange(len(q)), torch.as_tensor(classes, dtype=torch.int64)]
    return float(-true.clamp(min=SMALLEST).log().mean())
