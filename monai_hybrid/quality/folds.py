"""The networks of leave-one-out, kept where asked: each measures the one patient that it was trained without."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from data_prep.json_io import load_json
from data_prep.known_files import lies_below
from data_prep.quoting import printable
from data_prep.result_files import refuse_other
from monai_hybrid.errors import DataError
from monai_hybrid.weights import CARD_KEY, write_safetensors

FOLDER, RECORD = "folds", "leave_one_out.json"  # in logs/ of a run
LONGEST = 255  # characters of a patient and of a file's name


def write_fold(logs: Path, number: int, patient: str, state_dict: Mapping[str, Tensor]) -> str:
    """Keep the weights of a fold; its place below `logs`.

    Raises:
        ConfigError: a file of somebody else's is there.
    """
    name = f"fold_{number}.safetensors"
    (logs / FOLDER).mkdir(parents=True, exist_ok=True)
    refuse_other(logs / FOLDER / name)
    weights = {key: tensor.detach().cpu().contiguous() for key, tensor in state_dict.items()}
    write_safetensors(weights, logs / FOLDER / name, {"left_out": patient})
    return f"{FOLDER}/{name}"


def read_folds(model: Path) -> dict[str, Path]:
    """Patient -> weights of the fold that was trained without it, of the run in whose `models/` the model lies; {} without.

    Raises:
        DataError: the record is damaged or has no names, or names a file that is not in the run, or that was trained with
            the patient.
    """
    logs = model.parent.parent / "logs"
    path = logs / RECORD
    if model.parent.name != "models" or not path.is_file():
        return {}
    record: Any = load_json(path)
    folds = record.get("folds") if isinstance(record, dict) else None
    if folds is None:
        return {}
    if not isinstance(folds, dict):
        raise DataError(f"{path}: folds is a {type(folds).__name__}; expected patients and their files")
    found: dict[str, Path] = {}
    for patient, name in folds.items():
        if not isinstance(name, str) or max(len(name), len(patient)) > LONGEST:
            shown = printable(f"{patient!r:.80}: {name!r:.80}")
            raise DataError(f"{path}: folds, saw {shown}; expected patients and file names of at most {LONGEST} characters")
        found[patient] = logs / FOLDER / Path(name).name
    for patient, file in found.items():
        if not file.is_file() or not lies_below(logs, file):
            raise DataError(f"{path}: names {file} for the patient {patient}, which is not there; adapt again")
        if not _was_trained_without(patient, file):
            raise DataError(f"{path}: names {file} for the patient {patient}, which was not trained without it; adapt again")
    return found


def _was_trained_without(patient: str, file: Path) -> bool:
    """What the file itself says; a damaged one is named where its weights are read."""
    try:
        with safe_open(str(file), "pt") as opened:
            told = json.loads((opened.metadata() or {}).get(CARD_KEY, "null"))
    except (SafetensorError, OSError, ValueError):
        return True
    return isinstance(told, dict) and told.get("left_out") == patient
