"""Training, validation and testing, always by patient; folds for cross-validation within training."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from data_prep.cases import SPLITS, Case
from data_prep.errors import ConfigError, DataError
from data_prep.json_io import load_json
from data_prep.reading import stem

KEYS = {
    "train": "training",
    "training": "training",
    "fewshot": "training",
    "val": "validation",
    "validation": "validation",
    "test": "testing",
    "testing": "testing",
}
FEW_PATIENTS = 5  # labelled ones; of fewer none is held out unless that is asked for


def split_by_file(cases: Sequence[Case], path: Path) -> tuple[list[Case], int]:
    """Take the splits from a JSON file of lists of file names or case ids.

    Returns:
        The cases that the file names, with their split, in its order; the number of cases it does not name.

    Raises:
        DataError: a key is unknown, a name is not found or is in two lists.
    """
    content = load_json(path)
    if not isinstance(content, dict):
        raise DataError(f'{path}: expected {{"train": [...], "val": [...], "test": [...]}}, saw {type(content).__name__}')
    by_id = {case.case_id: case for case in cases}
    chosen: dict[str, Case] = {}
    lost: list[str] = []
    for key, names in content.items():
        for name in _names(path, key, names):
            case = by_id.get(name) or by_id.get(stem(Path(name)))
            if case is None:
                lost.append(name)
            elif case.case_id in chosen:
                raise DataError(f"{path}: {name!r} is named twice; expected each case in one list, once")
            else:
                chosen[case.case_id] = replace(case, split=KEYS[key])
    if lost:
        raise DataError(f"{path}: names that are not among the cases ({len(lost)}): {', '.join(lost[:5])}")
    if not any(case.split == "training" for case in chosen.values()):
        raise DataError(f"{path}: no training case; expected a list under 'train' or 'fewshot'")
    return list(chosen.values()), len(by_id) - len(chosen)


def _names(path: Path, key: str, names: object) -> list[str]:
    if key not in KEYS:
        raise DataError(f"{path}: $.{key}: unknown list; expected one of {', '.join(KEYS)}")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: $.{key}: expected a list of file names or case ids")
    return names


def split_by_chance(cases: Sequence[Case], validation: float | None, testing: float | None, seed: int) -> list[Case]:
    """Draw the splits by patient. Validation and test cases that the layout states stay, and none of that split is drawn;
    patients without any label train.

    Fractions that are not given are 0.1 and 0.2, and 0 where fewer than FEW_PATIENTS labelled ones are to be shared out: who
    has labels for three patients needs all three.

    Raises:
        ConfigError: a fraction is below 0, or both together leave nothing to train on; or it is of a split that is stated.
    """
    stated = {case.split for case in cases}
    for option, fraction, split in (("--val-fraction", validation, "validation"), ("--test-fraction", testing, "testing")):
        if fraction and split in stated:
            raise ConfigError(f"{option} {fraction}: the data set itself says which cases are of {split}. Leave it out")
    given = {case.patient: case.split for case in cases if case.split in ("validation", "testing")}
    training_only = {case.patient for case in cases if case.label is None} - set(given)
    free = sorted({case.patient for case in cases} - set(given) - training_only)
    defaults = (0.0, 0.0) if len(free) < FEW_PATIENTS else (0.1, 0.2)
    validation, testing = (d if f is None else f for f, d in zip((validation, testing), defaults, strict=True))
    if min(validation, testing) < 0 or validation + testing >= 1:
        raise ConfigError(
            f"--val-fraction {validation} --test-fraction {testing}: expected numbers from 0 that sum to less than 1"
        )
    random.Random(seed).shuffle(free)
    tests = 0 if "testing" in stated else _share(len(free), testing)
    held = 0 if "validation" in stated else _share(len(free), validation)
    validations = min(held, max(0, len(free) - tests - (0 if training_only else 1)))
    chosen = {**given, **dict.fromkeys(free[:tests], "testing")}
    chosen |= dict.fromkeys(free[tests : tests + validations], "validation")
    return [replace(case, split=_split(case, given, chosen)) for case in cases]


def _split(case: Case, given: Mapping[str, str | None], chosen: Mapping[str, str | None]) -> str:
    """What the layout states for a case comes first: a patient whom it has in two splits is found by D407."""
    if case.split and (case.split != "training" or case.patient in given):
        return case.split
    return chosen.get(case.patient) or "training"


def _share(patients: int, fraction: float) -> int:
    """Number of patients for a split: the nearest whole number, but one if there are three or more to share out."""
    wanted = round(patients * fraction)
    return max(wanted, 1) if fraction > 0 and patients >= 3 else wanted if patients > 1 else 0


def folds_by_patient(cases: Iterable[Case], folds: int, seed: int) -> dict[str, int]:
    """Patient -> fold, 0 .. folds - 1, for the training cases; fewer folds when there are fewer patients.

    Raises:
        ConfigError: fewer than one fold is asked for.
    """
    if folds < 1:
        raise ConfigError(f"--folds {folds}: expected 1 or more")
    patients = sorted({case.patient for case in cases if case.split == "training"})
    random.Random(seed).shuffle(patients)
    return {patient: index % min(folds, len(patients)) for index, patient in enumerate(patients)}


def in_order(cases: Iterable[Case]) -> list[Case]:
    """Cases ordered by split, then as given."""
    return sorted(cases, key=lambda case: SPLITS.index(case.split or "training"))
