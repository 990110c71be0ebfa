"""A few labelled cases, drawn by patient, reproducibly, and written down."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from monai.data import DistributedSampler
from torch.utils.data import RandomSampler, Sampler, WeightedRandomSampler

from data_prep.atomic import replace_file
from monai_hybrid.errors import DataError
from monai_hybrid.losses.objectives import get_objective


def draw_shots(cases: list[dict[str, Any]], shots: int | None, seed: int, folder: str, rank: int = 0) -> list[dict[str, Any]]:
    """All labelled cases of `shots` patients; None takes every patient. `shots.json` under `folder` names them.

    The patients are drawn in one random order for a seed, so that the cases of 3 shots hold those of 1 shot: label counts can
    be compared within a draw.

    Raises:
        DataError: fewer labelled patients than asked for, or none.
    """
    labelled = [case for case in cases if "label" in case]
    patients = sorted({case["patient"] for case in labelled})
    wanted = len(patients) if shots is None else shots
    if not 1 <= wanted <= len(patients):
        raise DataError(
            f"shots: got {wanted}, expected 1 to {len(patients)}, the labelled patients of the training list; those of "
            "validation and testing are held out. To train on all: "
            "python -m data_prep build RAW --out DATA --val-fraction 0 --test-fraction 0"
        )
    random.Random(seed).shuffle(patients)
    chosen = set(patients[:wanted])
    taken = [case for case in labelled if case["patient"] in chosen]
    if rank == 0:
        record = {"seed": seed, "patients": patients[:wanted], "cases": [case["case_id"] for case in taken]}
        Path(folder).mkdir(parents=True, exist_ok=True)
        replace_file(Path(folder) / "shots.json", lambda path: path.write_text(json.dumps(record, indent=1) + "\n"))
    return taken


def without_labels(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same images for the denoising term alone."""
    return [{key: value for key, value in case.items() if key != "label"} for case in cases]


def mixed_sampler(
    cases: list[dict[str, Any]], num_samples: int, labelled_share: float = 0.5, processes: int = 1
) -> Sampler[int]:
    """Draw `num_samples` cases: random permutations, or a given share of labelled ones when there are both kinds.

    Args:
        cases: some without "label".
        num_samples: samples an epoch, of this process.
        labelled_share: where there are both kinds.
        processes: of the run. Several deal out one permutation among them; a given share each draws from all cases.
    """
    labelled = ["label" in case for case in cases]
    if all(labelled):
        return _permutations(cases, num_samples, processes)
    share = {True: labelled_share / sum(labelled), False: (1 - labelled_share) / (len(cases) - sum(labelled))}
    return WeightedRandomSampler([share[is_labelled] for is_labelled in labelled], num_samples)


def _permutations(cases: list[dict[str, Any]], num_samples: int, processes: int) -> Sampler[int]:
    if processes > 1:
        return DistributedSampler(cases, even_divisible=True, shuffle=True)
    return RandomSampler(cases, num_samples=num_samples)


def pretraining_sampler(
    cases: list[dict[str, Any]], num_samples: int, objective: str, labelled_share: float = 0.5, processes: int = 1
) -> Sampler[int]:
    """Random permutations of all cases, unless labels are so rare that the mask term would see few of them.

    Args:
        cases: some without "label".
        num_samples: samples an epoch, of this process.
        objective: name of the arm. Without an image term nothing is learnt from an image alone: labelled cases alone are drawn;
            without a mask term labels count for nothing.
        labelled_share: the least share of labelled samples of an objective with both terms.
        processes: of the run, as in `mixed_sampler`.

    Raises:
        ConfigError: unknown objective.
    """
    terms = get_objective(objective)
    least = labelled_share if terms.image_term else 1.0
    labelled = sum("label" in case for case in cases)
    if labelled == 0 or labelled >= least * len(cases) or not (terms.mask_on_noisy or terms.clean_fraction):
        return _permutations(cases, num_samples, processes)
    return mixed_sampler(cases, num_samples, least, processes)
