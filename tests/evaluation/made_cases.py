"""Masks whose scores are known by hand, and an engine that evaluates them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from torch import Tensor

from monai_hybrid.evaluation import EvaluationReport

NAMES = ["background", "liver", "spleen"]


def box(shape: tuple[int, ...], start: tuple[int, ...], size: tuple[int, ...]) -> Tensor:
    """A bool mask with one box."""
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))] = True
    return mask


def with_spacing(values: Tensor, spacing: tuple[float, ...]) -> MetaTensor:
    """(1, X, Y[, Z]) with an affine that is turned by 30 degrees, so that its diagonal is not the spacing."""
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([*spacing, 1.0][:3])
    return MetaTensor(values, affine=torch.tensor(affine))


def evaluate(
    folder: Path,
    cases: dict[str, tuple[Tensor, Tensor]],
    batch_size: int = 2,
    names: list[str] = NAMES,
    about: dict[str, Any] | None = None,
    nsd_tolerance: float = 2.0,
    unit: str = "voxels",
    patients: dict[str, str] | None = None,
) -> EvaluationReport:
    """Run the report over (pred, label) as MONAI's evaluator does: an output and a batch of decollated items."""
    report = EvaluationReport(str(folder), names, nsd_tolerance, unit, about or {})
    ids = list(cases)
    items = [{"case_id": name} | ({"patient": patients[name]} if patients else {}) for name in ids]
    batches = [items[i : i + batch_size] for i in range(0, len(items), batch_size)]

    def step(engine: Engine, batch: list[dict[str, str]]) -> list[dict[str, Tensor]]:
        return [dict(zip(("pred", "label"), cases[item["case_id"]], strict=True)) for item in batch]

    engine = Engine(step)
    report.attach(engine)
    engine.run(batches)
    return report
