"""Held-out labelled cases, as they are and made worse: signals beside the measured Dice, and voxels to calibrate with."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor, nn

from data_prep.amounts import plural
from data_prep.ignoring import IGNORED
from data_prep.progress import Ticker
from data_prep.volume import Array
from monai_hybrid.quality.degrade import degraded
from monai_hybrid.quality.reliability import InTheBox

COPIES = 4  # worse copies a case
VOXELS = 20_000  # a case, for the temperature
CLEAN = "as it is"
logger = logging.getLogger("monai_hybrid.quality")


@dataclass
class Measured:
    """What was seen.

    Attributes:
        rows: {"case_id", "patient", "copy", "structure", "dice", "signals"} of structures that the mask holds.
        errors: denoising error by case, of the images as they are.
        p, classes, patients: (N, K), (N,), (N,) of voxels around the labels, of the images as they are.
        failed: {case id: why}.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)
    p: list[Array] = field(default_factory=list)
    classes: list[Array] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, other: Measured) -> None:
        """Take what was seen of further cases."""
        self.rows += other.rows
        self.errors |= other.errors
        self.p += other.p
        self.classes += other.classes
        self.patients += other.patients
        self.failed |= other.failed


@dataclass(frozen=True)
class HeldOut:
    """Measures cases by the parts of a prediction.

    Attributes:
        prepare: the preprocessing of the model: {"image", "case_id"} -> the same, the image (C, X, Y[, Z]).
        load_label: {"image", "label", ...} -> label (1, X, Y[, Z]) class index on the file's grid.
        network, inferer, signals: as in `prediction`.
        structures: names of the classes from 1 on.
        device: of the network.
        seed: of the worse copies.
    """

    prepare: Callable[[dict[str, Any]], dict[str, Any]]
    load_label: Callable[[dict[str, Any]], dict[str, Any]]
    network: nn.Module
    inferer: Any
    signals: Any
    structures: Sequence[str]
    device: Any = "cpu"
    seed: int = 0

    def measure(
        self, cases: Sequence[Mapping[str, Any]], copies: int = COPIES, until: float | None = None, first: int = 0
    ) -> Measured:
        """All cases as they are, then their copies, turn by turn; a case that cannot be read is left out and named.

        Args:
            cases: {"case_id", "image", "label"[, "patient"]}.
            copies: worse ones a case.
            until: `time.monotonic()` after which no further case begins.
            first: number of the first case; how a copy is made worse follows from it.
        """
        found, ticker = Measured(), Ticker("held-out images", len(cases) * (1 + copies), 10)
        for turn in range(1 + copies):
            for number, case in enumerate(cases, first):
                if until is not None and time.monotonic() > until:
                    logger.info(
                        "the time for held-out cases is over after %s", plural(turn * len(cases) + number - first, "image")
                    )
                    return found
                if case["case_id"] in found.failed:
                    continue
                try:
                    self._one(case, number, turn, found)
                except Exception as error:  # one file must not cost the others
                    found.failed[str(case["case_id"])] = " ".join(str(error).split())[:300] or type(error).__name__
                    logger.warning("%s: left out: %s", case["case_id"], found.failed[str(case["case_id"])])
                ticker.step()
        return found

    @torch.no_grad()
    def _one(self, case: Mapping[str, Any], number: int, turn: int, found: Measured) -> None:
        d = self.load_label(self.prepare(dict(case)))
        label, image, copy = torch.as_tensor(d["label"])[0].cpu(), d["image"], CLEAN
        patient = str(case.get("patient") or case["case_id"])
        if turn:
            copy, worse = degraded(torch.as_tensor(image), (turn - 1) + number * 7, self.seed + number)
            meta = {"meta": image.meta, "applied_operations": image.applied_operations}
            image = MetaTensor(worse, **meta)
        image = image.to(self.device)
        voxels = _Sample(label, self.seed + number)
        self.inferer.on_probabilities = None if turn else voxels.box
        try:
            sums = self.signals.sums(image, self.inferer)
            pred = self.inferer.segment(image, self.network).labels.cpu()
            error, signals = self.signals.measured(sums, image, self.network, self.inferer)
        finally:
            self.inferer.on_probabilities = self.inferer.on_rod = None
        known = {"case_id": str(case["case_id"]), "patient": patient, "copy": copy}
        for index, name in enumerate(self.structures, 1):
            dice = dice_of(pred, label, index)
            if name in signals and dice is not None:
                found.rows.append({**known, "structure": name, "dice": dice, "signals": signals[name]})
        if not turn:
            found.errors |= {} if error is None else {known["case_id"]: error}
            found.p += voxels.p
            found.classes += voxels.classes
            found.patients += [patient] * sum(map(len, voxels.classes))


class _Sample:
    """Some of the voxels around a label, drawn evenly."""

    def __init__(self, label: Tensor, seed: int) -> None:
        self.box = InTheBox(label, self._take)
        self.p: list[Array] = []
        self.classes: list[Array] = []
        size = 1 if self.box.box is None else int(np.prod([s.stop - s.start for s in self.box.box]))
        self.share, self.random = min(1.0, VOXELS / size), np.random.default_rng(seed)

    def _take(self, p: Tensor, classes: Tensor) -> None:
        chosen = self.random.random(len(classes)) < self.share
        self.p.append(p.numpy().T[chosen])
        self.classes.append(classes.numpy()[chosen])


def dice_of(pred: Tensor, label: Tensor, index: int) -> float | None:
    """Dice of one class over the annotated voxels of (X, Y[, Z]) class indices; None where neither holds it."""
    known = label != IGNORED
    a, b = (pred == index) & known, label == index
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else None
