"""The folds of leave-one-out that a stopped run has finished, so that `--resume` trains the others alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.json_io import load_json
from data_prep.result_files import refuse_other
from monai_hybrid.errors import DataError
from monai_hybrid.few_shot.shots import write_record
from monai_hybrid.quality.folds import RECORD
from monai_hybrid.runs.run_folder import run_settings
from monai_hybrid.runs.same_run import describe_cases, without_watchers

PART = "leave_one_out_part.json"  # in logs/ of a run, until all folds are done


@dataclass(frozen=True)
class Fold:
    """Mean Dice of the patient left out at the start and after each epoch; the file of weights below logs/, or None."""

    start: float
    curve: list[float]
    file: str | None = None


@dataclass
class FoldsDone:
    """Finished folds by patient, in a file beside the log; `of` says which settings and cases they are of."""

    logs: Path
    of: str
    folds: dict[str, Fold] = field(default_factory=dict)

    def add(self, patient: str, fold: Fold) -> None:
        """Keep a fold."""
        self.folds[patient] = fold
        self.write({"of": self.of, "folds": {name: vars(one) for name, one in self.folds.items()}}, PART)

    def finish(self, record: Mapping[str, Any]) -> None:
        """Write the record of all folds in the place of the file of some."""
        self.write({**record, "of": self.of}, RECORD)
        (self.logs / PART).unlink(missing_ok=True)

    def write(self, content: Mapping[str, Any], name: str) -> None:
        """Write a file beside the log, unless one of somebody else's is there.

        Raises:
            ConfigError: one is.
        """
        refuse_other(self.logs / name)
        write_record(content, self.logs / name)

    @property
    def record(self) -> dict[str, Any] | None:
        """The record of all folds, where a run of the same settings and cases has written it and its weights are there."""
        found = _read(self.logs / RECORD)
        if found.get("of") != self.of or not isinstance(found.get("epochs"), int):
            return None
        files = found.get("folds") or {}
        there = isinstance(files, dict) and all((self.logs / str(name)).is_file() for name in files.values())
        return found if there else None


def folds_of(logs: Path, cases: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], resume: bool) -> FoldsDone:
    """The folds of a run; with `resume` those that are done, if they were trained with the same settings on the same cases.

    Args:
        logs: of the run's folder.
        cases: all that it trains on, those without labels too.
        settings: what else decides how a fold is trained, such as its number of updates.
        resume: else none is done.
    """
    given = without_watchers(run_settings())
    patients = [str(case.get("patient")) for case in cases]  # regrouped, a fold was trained on one that is now left out
    decides = {name: str(value) for name, value in settings.items()}
    text = json.dumps([given, describe_cases(cases), patients, decides], sort_keys=True)
    done = FoldsDone(logs, hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32])
    part = _read(logs / PART) if resume else {}
    if part.get("of") == done.of and isinstance(part.get("folds"), dict):
        for patient, one in part["folds"].items():
            fold = _fold(one)
            if fold is not None and (fold.file is None or (logs / fold.file).is_file()):
                done.folds[patient] = fold
    return done


def _fold(content: Any) -> Fold | None:
    try:
        file = content["file"]
        return Fold(float(content["start"]), [float(dice) for dice in content["curve"]], None if file is None else str(file))
    except (KeyError, TypeError, ValueError):
        return None


def _read(path: Path) -> dict[str, Any]:
    """The content of a file of ours; {} where there is none, or a damaged one: the folds are trained anew then."""
    try:
        content = load_json(path) if path.is_file() else {}
    except DataError:
        return {}
    return content if isinstance(content, dict) else {}
