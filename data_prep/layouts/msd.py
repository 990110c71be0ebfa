"""Medical Segmentation Decathlon: dataset.json with a `training` list, imagesTr, labelsTr, imagesTs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.cases import Case, Source
from data_prep.errors import DataListError
from data_prep.label_names import parse_names
from data_prep.layouts.common import (
    channel_names,
    label_folder,
    modality_of,
    names_beside,
    require_dataset_json,
    unlisted_labels,
)
from data_prep.reading import stem


def read(root: Path, labels_dir: str | None = None) -> Source:
    """List the training cases; test images of the Decathlon carry no label and are left out, with a note.

    Raises:
        ConfigError: the label folder does not exist.
        DataError: dataset.json is missing, damaged or without training cases.
    """
    path = root / "dataset.json"
    content = require_dataset_json(root, "MSD")
    channels = channel_names(content, "modality", path)
    cases = tuple(_case(root, entry, index, labels_dir) for index, entry in enumerate(_entries(content, path)))
    names = names_beside(root, labels_dir) if labels_dir else parse_names(content.get("labels"), f"{path}: $.labels")
    unused = content.get("test") or []
    notes = (f"test images without labels, left out: {len(unused)}",) if unused else ()
    name = str(content.get("name") or root.name)
    return Source(root, "msd", name, cases, names, channels, modality_of(channels), unlisted_labels(cases), notes)


def _entries(content: dict[str, Any], path: Path) -> list[Any]:
    entries = content.get("training")
    if not isinstance(entries, list) or not entries:
        raise DataListError("D503", f"{path}: $.training: expected a list of cases, saw {entries!r}")
    return entries


def _case(root: Path, entry: Any, index: int, labels_dir: str | None) -> Case:
    if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
        raise DataListError(
            "D503", f'{root / "dataset.json"}: $.training[{index}]: expected {{"image": ..., "label": ...}}, saw {entry!r}'
        )
    image = Path(root / entry["image"])
    label = root / entry["label"] if isinstance(entry.get("label"), str) else None
    if labels_dir is not None and label is not None:
        label = label_folder(root, labels_dir) / label.name
    return Case(stem(image), (image,), label, listed_in=root / "dataset.json")
