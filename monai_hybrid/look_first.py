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
from data_prep.json_io import load_json
from data_prep.layouts.case_folders import is_case_folders
from data_prep.layouts.pairs import is_pairs
from data_prep.layouts.parts import splits_of
from data_prep.layouts.two_folders import HERE, fitting
from data_prep.options import as_typed
from data_prep.quoting import quoted
from monai_hybrid.catalogue.naming import name_of
from monai_hybrid.model_card import read_card
from monai_hybrid.quality_schema import FEWEST_PATIENTS
from monai_hybrid.setting_checks import model_in

FOLDS = "logs/leave_one_out.json"
RAW = (("images", "labels"), ("imagesTr", "labelsTr"))  # folders of scans and of their labels
CHAIN = 8  # models, each adapted from the next, that are looked at


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
    if split == "training":
        refuse_learned(folder, patients, learned_patients(folder, str(model_in(place) or model)), model)
    if len(patients) < FEWEST_PATIENTS and not (split == "validation" and (run / FOLDS).is_file()):
        raise too_few(folder, split, len(patients), model)


def refuse_learned(folder: Path, patients: set[str], learned: set[str], model: str) -> None:
    """Refuse training patients as held out where the model has learned all of them, or leaves too few.

    Raises:
        DataError: fewer than `FEWEST_PATIENTS` others, where there were enough.
    """
    if not learned or len(patients) < FEWEST_PATIENTS or len(patients - learned) >= FEWEST_PATIENTS:
        return
    line = _with_folds(folder, model, len(patients))
    raise DataError(
        f"{folder}: {model} was trained on {len(patients & learned)} of the {plural(len(patients), 'labelled patient')} of the "
        f"split training; a predicted Dice takes at least {FEWEST_PATIENTS} others. If it learned another data set that is "
        f"called the same, build this one with --name OTHER. Else give --split validation, or keep folds. Type: {line}"
    )


def learned_patients(folder: Path, model: str) -> set[str]:
    """The labelled training patients of a data set that a model has learned, by its card and its run's `shots.json`.

    Where the run's record is not beside the model, all of them: nobody can say which. So have the models that it was adapted
    or distilled from, as far as they are still there. {} for a model of a data set of another name.
    """
    name = read_dataset(folder).get("name")
    training = labelled_patients(read_datalist(folder)["training"])
    found: set[str] = set()
    for _ in range(CHAIN):
        card = read_card(model) or {}
        settings = card.get("training") or {}
        if name and card.get("source") == name and settings.get("shots") != 0:
            found |= training & (_shots(Path(model)) or training)
        before = settings.get("adapted_from") or (settings.get("distilled_from") or {}).get("model")
        if not isinstance(before, str) or not Path(before).is_file():
            break
        model = before
    return found


def _shots(model: Path) -> set[str] | None:
    """The patients that `shots.json` of the model's run names; None without one that can be read."""
    record = model.parent.parent / "shots.json"
    if model.parent.name != "models" or not record.is_file():
        return None
    content: Any = load_json(record)
    patients = content.get("patients") if isinstance(content, dict) else None
    return set(map(str, patients)) if isinstance(patients, list) else None


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
    line = _with_folds(folder, model, training)
    return DataError(f"{told}With fewer, keep the folds of an adaptation, and calibrate its model. Type: {line}")


def _with_folds(folder: Path, model: str, patients: int) -> str:
    """The line that adapts with so many patients, and keeps the network of each fold."""
    return (
        f"monai-hybrid adapt --data {quoted(folder)} --model {quoted(_start(folder, model))} --shots {patients} "
        f"--stopping leave_one_out --keep-folds True --output {free(ADAPTED)}"
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


def _refuse_raw(folder: Path) -> None:
    """A folder with images and labels: only a prepared data set knows which scan has one."""
    if folder.is_dir() and (splits_of(folder) or is_case_folders(folder) or is_pairs(folder)):
        raise DataError(
            f"{folder}: holds masks with the images, and which scans have a label is known once it is built. Type: "
            f"monai-hybrid build {quoted(folder)} --allow-unlabelled --output {free(PREPARED)}"
        )
    usual = next((images for images, _ in RAW if (folder / images).is_dir()), None)
    others = fitting(folder, usual) if folder.is_dir() else []
    for images, labels in (*RAW, *others):
        beside = folder / labels
        if (folder / images).is_dir() and beside.is_dir() and any(not file.name.startswith(".") for file in beside.iterdir()):
            alike = "" if images == HERE else f"; or look at all scans alike: --data {quoted(folder / images)}"
            which = as_typed({"images_dir": images, "labels_dir": labels}) if len(others) > 1 else ""
            raise DataError(
                f"{folder}: holds {labels}/, and which scans have a label is known once it is built. Type: monai-hybrid build "
                f"{quoted(folder)}{which} --allow-unlabelled --output {free(PREPARED)}{alike}"
            )


def refuse_all_labelled(data: str | Path) -> None:
    """Refuse what `suggest` has nothing to choose from, or where it would choose scans that have a label.

    Raises:
        DataError: each training case of the prepared data set has a label; or a raw one, whose labels nobody has read.
        DataListError: the list is damaged.
    """
    folder = at_home(data)
    if not (folder / "datalist.json").is_file():
        _refuse_raw(folder)
        return
    if all("label" in case for case in read_datalist(folder)["training"]):
        raise DataError(
            f"{folder}: every training case has a label, so nothing is left to label. Give a folder of scans, or build with "
            "--allow-unlabelled"
        )
