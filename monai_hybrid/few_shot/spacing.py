"""What a training says of its voxel size, where that is another than the plan of the data has."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist

from data_prep.amounts import by, cells
from data_prep.cases import Case
from data_prep.ceiling import Masks
from monai_hybrid.bundle.data import PreparedData

NAMED = 1.25  # an edge this much longer or shorter than the plan's
logger = logging.getLogger("monai_hybrid.adaptation")


def tell_spacing(data: PreparedData, cases: Sequence[Mapping[str, Any]], spacing: Sequence[float]) -> None:
    """Say that the network works on another grid than `build` has told, and what masks keep there.

    An adaptation takes the spacing of its model, since its weights know that one; `build` chose one for the data alone.

    Args:
        data: the prepared data set.
        cases: of the training; those with "label" are measured.
        spacing: of the network's grid, an edge an axis, in mm, or in pixels or voxels where the files state none.
    """
    if "spacing" not in data.plan:  # scans alone, without labels, have the model's plan or none
        return
    plan = [float(edge) for edge in data.plan["spacing"]]
    ratios = [float(own) / edge for own, edge in zip(spacing, plan, strict=True)]
    if idist.get_rank() != 0 or all(1 / NAMED < ratio < NAMED for ratio in ratios):
        return
    told = f"the network works at the spacing {by(spacing)}; the plan of the data has {by(plan)}"
    if not data.dataset["fingerprint"]["spacing_known"]:
        dims = int(data.plan["spatial_dims"])
        told += f". The files state no mm, so the edge of a {cells(dims)[:-1]} counts as 1"
    ceiling = _masks(data, cases)(spacing)
    typed = f'--spacing "[{",".join(f"{edge:g}" for edge in plan)}]"'
    if ceiling.is_good:
        logger.info("%s. To train at the plan's type %s", told, typed)
    else:
        logger.warning("%s. There %s. To train at the plan's type %s", told, ceiling.in_words(), typed)


def _masks(data: PreparedData, cases: Sequence[Mapping[str, Any]]) -> Masks:
    names = {int(label["value"]): str(label["name"]) for label in data.dataset["labels"][1:]}
    labelled = [
        Case(str(case["case_id"]), (), Path(case["label"]), split="training")
        for case in cases
        if isinstance(case.get("label"), (str, Path))
    ]
    return Masks(labelled, names, data.plan["spatial_dims"] == 2, data.dataset.get("ignore_value"))
