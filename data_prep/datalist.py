"""datalist.json: which files train, validate and test, in the form of MONAI's Decathlon and Auto3DSeg lists."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.cases import SPLITS, Case

FORMAT_VERSION = 1


def make_datalist(cases: Sequence[Case], folds: Mapping[str, int], name: str, folder: Path) -> dict[str, Any]:
    """The content of datalist.json.

    No key begins with `image_` or `label_`: MONAI's Spacingd takes such siblings for meta data and fails.

    Args:
        cases: with their splits.
        folds: patient -> fold for the training cases.
        name: of the data set.
        folder: where the file will lie; paths below it are written relative to it, others absolute.
    """
    lists = {split: [_entry(case, folds, folder) for case in cases if case.split == split] for split in SPLITS}
    return {"format_version": FORMAT_VERSION, "name": name, **lists}


def _entry(case: Case, folds: Mapping[str, int], folder: Path) -> dict[str, Any]:
    images = [portable(path, folder) for path in case.images]
    entry: dict[str, Any] = {"image": images[0] if len(images) == 1 else images}
    if case.label is not None:
        entry["label"] = portable(case.label, folder)
    if case.split == "training":
        entry["fold"] = folds[case.patient]
    return entry | {"case_id": case.case_id, "patient": case.patient, "site": case.site}


def images_of(entry: Mapping[str, Any]) -> list[str]:
    """The image files of an entry: one, or one a channel."""
    return list(entry["image"]) if isinstance(entry["image"], list) else [entry["image"]]


def case_of(entry: Mapping[str, Any], split: str | None = None) -> Case:
    """The case of an entry whose paths are absolute, as `read_datalist` gives it."""
    label = Path(entry["label"]) if "label" in entry else None
    return Case(entry["case_id"], tuple(map(Path, images_of(entry))), label, entry["patient"], entry["site"], split)


def portable(path: Path, folder: Path) -> str:
    """A path relative to `folder` when it lies below it, else absolute; links are not followed."""
    absolute, base = Path(os.path.abspath(path)), Path(os.path.abspath(folder))  # noqa: PTH100 (resolve follows links)
    return absolute.relative_to(base).as_posix() if absolute.is_relative_to(base) else str(absolute)
