"""What a command finds out before it loads PyTorch: that there is nothing for it to do.

Both the command line, which asks first, and the functions behind it, which Python calls too, refuse by these.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.amounts import plural
from data_prep.errors import DataError
from data_prep.files import read_datalist, read_dataset
from data_prep.free_names import ADAPTED, PREPARED, free
from data_prep.home import at_home
from data_prep.quoting import quoted
from monai_hybrid.catalogue.naming import name_of
from monai_hybrid.model_card import read_card
from monai_hybrid.quality_schema import FEWEST_PATIENTS
from monai_hybrid.setting_checks import model_in

FOLDS = "logs/leave_one_out.json"


def refuse_without_held_out(data: str | Path, model: str, split: str) -> None:
    """Refuse what `calibrate` would refuse for its data, as far as that follows from small files.

    Raises:
        DataError: no prepared data set; or too few labelled patients in the split, and no folds were kept.
        DataListError, ModelFileError: a damaged file.
    """
    folder, place = at_home(data), at_home(model)
    if not (folder / "datalist.json").is_file():
        raise not_prepared(folder)
    patients = labelled_patients(read_datalist(folder).get(split) or ())
    run = (model_in(place) or place).parent.parent
    if len(patients) < FEWEST_PATIENTS and not (split == "validation" and (run / FOLDS).is_file()):
        raise too_few(folder, split, len(patients), model)


def not_prepared(folder: Path) -> DataError:
    """The error for a folder that `build` has not written."""
    there = quoted(folder)
    return DataError(f"{folder}: no prepared data set. Type: monai-hybrid build {there} --output {free(PREPARED)}")


def too_few(folder: Path, split: str, number: int, model: str) -> DataError:
    """The error for a split with too few labelled patients, with the line that makes a model which needs none of it."""
    training = len(labelled_patients(read_datalist(folder)["training"]))
    told = (
        f"{folder}: the split {split} has {plural(number, 'labelled patient')}; a predicted Dice takes at least "
        f"{FEWEST_PATIENTS}, none of whom the model was trained on. "
    )
    if training < FEWEST_PATIENTS:
        return DataError(f"{told}Label scans of {FEWEST_PATIENTS - number} more patients, and build again")
    there, start = quoted(folder), quoted(_start(folder, model))
    return DataError(
        f"{told}With fewer, keep the folds of an adaptation, and calibrate its model. Type: monai-hybrid adapt --data {there} "
        f"--model {start} --shots {training} --stopping leave_one_out --keep-folds True --output {free(ADAPTED)}"
    )


def _start(folder: Path, model: str) -> str:
    """A model that saw none of these patients: what this one was adapted from, or itself where it is of other data."""
    place = at_home(model)
    card = read_card(model_in(place) or model) or {}
    training = card.get("training") or {}
    if "adapted_from" in training:
        return name_of(str(training["adapted_from"] or "scratch"))
    return "auto" if card.get("source") == read_dataset(folder).get("name") else model


def labelled_patients(cases: Any) -> set[str]:
    """The patients of the cases that have a label."""
    return {case.get("patient") or case["case_id"] for case in cases if isinstance(case, Mapping) and "label" in case}


def refuse_all_labelled(data: str | Path) -> None:
    """Refuse what `suggest` has nothing to choose from.

    Raises:
        DataError: each training case of the prepared data set has a label.
        DataListError: the list is damaged.
    """
    folder = at_home(data)
    if not (folder / "datalist.json").is_file():
        return
    if all("label" in case for case in read_datalist(folder)["training"]):
        raise DataError(
            f"{folder}: every training case has a label, so nothing is left to label. Give a folder of scans, or build with "
            "--allow-unlabelled"
        )
