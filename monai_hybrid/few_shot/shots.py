"""A few labelled cases, drawn by patient, reproducibly, and written down."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from data_prep.atomic import replace_file
from monai_hybrid.errors import DataError
from monai_hybrid.runs.checkpoint import checkpoints

RECORD = "shots.json"


def draw_shots(cases: list[dict[str, Any]], shots: int | None, seed: int, folder: str, rank: int = 0) -> list[dict[str, Any]]:
    """All labelled cases of `shots` patients; None takes every patient. `shots.json` under `folder` names them.

    A run that goes on keeps its own: its cases are the same, or it is refused.

    The patients are drawn in one random order for a seed, so that the cases of 3 shots hold those of 1 shot: label counts can
    be compared within a draw.

    Raises:
        DataError: fewer labelled patients than asked for, or none; 0, which another configuration does.
    """
    labelled = [case for case in cases if "label" in case]
    patients = sorted({case["patient"] for case in labelled})
    wanted = len(patients) if shots is None else shots
    if shots == 0:
        raise DataError(
            "shots 0: scans alone need a second configuration: --config_file \"['.../train.json','.../without_labels.json']\"; "
            "monai-hybrid adapt --shots 0 adds it"
        )
    if not 1 <= wanted <= len(patients):
        raise DataError(
            f"shots: got {wanted}, expected 1 to {len(patients)}, the labelled patients of the training list; those of "
            "validation and testing are held out. To train on all: "
            "monai-hybrid build RAW --output DATA --val-fraction 0 --test-fraction 0"
        )
    random.Random(seed).shuffle(patients)
    chosen = set(patients[:wanted])
    taken = [case for case in labelled if case["patient"] in chosen]
    if rank == 0 and not ((Path(folder) / RECORD).is_file() and checkpoints(Path(folder) / "checkpoints")):
        record = {"seed": seed, "patients": patients[:wanted], "cases": [case["case_id"] for case in taken]}
        write_record(record, Path(folder) / RECORD)
    return taken


def write_record(content: Any, path: Path) -> None:
    """Write JSON that may hold NaN, of a score that there is none of, and a name that is no Unicode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1) + "\n"
    replace_file(path, lambda temporary: temporary.write_text(text))


def without_labels(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same images for the denoising term alone."""
    return [{key: value for key, value in case.items() if key != "label"} for case in cases]
