"""nnU-Net raw, version 2: dataset.json, imagesTr with `_0000` channel suffixes, labelsTr, imagesTs, labelsTs.

Or a dataset.json that lists the cases itself, `"dataset": {case: {"images": [...], "label": ...}}`, files anywhere.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.cases import Case, Source
from data_prep.errors import DataListError
from data_prep.ignoring import IGNORE
from data_prep.label_affixes import pair_labels
from data_prep.label_names import parse_names
from data_prep.layouts.beside import without_ours
from data_prep.layouts.common import (
    channel_names,
    image_files,
    label_folder,
    modality_of,
    names_beside,
    require_dataset_json,
    require_images,
    unlisted_labels,
)
from data_prep.pictures import is_picture
from data_prep.reading import stem

_CHANNEL = re.compile(r"(.+)_(\d{4})")
RGB_CHANNELS = 3  # nnU-Net reads these from one picture file, as red, green and blue


def read(root: Path, labels_dir: str | None = None) -> Source:
    """List the cases; those of imagesTs become test cases when labelsTs has their labels, else they are left out.

    Raises:
        ConfigError: the label folder does not exist.
        DataError: dataset.json is missing or damaged, or a channel of a case is missing.
    """
    path = root / "dataset.json"
    content = require_dataset_json(root, "nnU-Net")
    channels = channel_names(content, "channel_names", path)
    if "dataset" in content:
        return _listed(root, content, channels, path)
    labels = {stem(file): file for file in image_files(label_folder(root, labels_dir or "labelsTr"))}
    images, ours = without_ours(require_images(root / "imagesTr"))
    cases, orphans, said = _paired(_cases(images, len(channels), None), labels)
    tests, notes = _tests(root, len(channels))
    notes = (*ours, *said, *notes)
    names = names_beside(root, labels_dir) if labels_dir else _names(content, path)
    modality = modality_of(channels)
    ignore = None if labels_dir else _ignore(content, path)
    return Source(root, "nnunet", root.name, (*cases, *tests), names, channels, modality, orphans, notes, ignore=ignore)


def _listed(root: Path, content: dict[str, Any], channels: tuple[str, ...], path: Path) -> Source:
    """The cases that dataset.json lists; labels beside them that it does not list are orphans."""
    listed = content["dataset"]
    if not isinstance(listed, dict) or not listed:
        raise DataListError("D503", f"{path}: $.dataset: expected at least one case, saw {str(listed)[:60]!r}")
    cases = tuple(_entry(root, name, entry, len(channels), path) for name, entry in sorted(listed.items()))
    orphans = unlisted_labels(cases)
    name = str(content.get("name") or root.name)
    ignore = _ignore(content, path)
    return Source(root, "nnunet", name, cases, _names(content, path), channels, modality_of(channels), orphans, ignore=ignore)


def _entry(root: Path, name: str, entry: Any, channels: int, path: Path) -> Case:
    images = entry.get("images") if isinstance(entry, dict) else None
    label = entry.get("label") if isinstance(entry, dict) else None
    if (
        not isinstance(images, list)
        or not all(isinstance(file, str) for file in (*images, label))
        or len(images) not in (1, channels)
    ):
        raise DataListError(
            "D503",
            f'{path}: $.dataset.{name}: expected {{"images": [1 or {channels} files], "label": ...}}, saw {str(entry)[:60]!r}',
        )
    return Case(name, tuple(root / file for file in images), root / str(label), listed_in=path)


def _paired(cases: tuple[Case, ...], labels: dict[str, Path]) -> tuple[tuple[Case, ...], tuple[Path, ...], tuple[str, ...]]:
    """Cases with their labels; labels without an image; a note, where names differ by an ending."""
    pairs = pair_labels([case.case_id for case in cases], labels)
    given = tuple(replace(case, label=pairs.labels.get(case.case_id)) for case in cases)
    return given, pairs.orphans, (pairs.note,) if pairs.note else ()


def _cases(files: list[Path], channels: int, split: str | None) -> tuple[Case, ...]:
    groups: dict[str, dict[int, Path]] = defaultdict(dict)
    for file in files:
        match = _CHANNEL.fullmatch(stem(file))
        if match is None and channels == RGB_CHANNELS and is_picture(file):
            groups[stem(file)][0] = file
            continue
        if match is None:
            raise DataListError("D503", f"{file}: expected a channel number at the end of the name, such as {stem(file)}_0000")
        groups[match[1]][int(match[2])] = file
    for case_id, group in groups.items():
        if channels == RGB_CHANNELS and sorted(group) == [0] and is_picture(group[0]):  # one file with three colours
            continue
        if sorted(group) != list(range(channels)):
            seen = ", ".join(f"{index:04d}" for index in sorted(group))
            message = f"case {case_id}: channels {seen}; dataset.json declares {channels} (0000 to {channels - 1:04d})"
            raise DataListError("D503", message, str(next(iter(group.values()))))
    ordered = ((case_id, tuple(group[index] for index in sorted(group))) for case_id, group in groups.items())
    return tuple(Case(case_id, images, None, split=split) for case_id, images in ordered)


def _tests(root: Path, channels: int) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    folder = root / "imagesTs"
    files, ours = without_ours(image_files(folder)) if folder.is_dir() else ([], ())
    answers = root / "labelsTs"
    labels = {stem(file): file for file in image_files(answers)} if answers.is_dir() else {}
    cases = _paired(_cases(files, channels, "testing"), labels)[0]
    labelled = tuple(case for case in cases if case.label is not None)
    left_out = len(cases) - len(labelled)
    return labelled, (*ours, *((f"test images without labels, left out: {left_out}",) if left_out else ()))


def _names(content: dict[str, Any], path: Path) -> dict[int, str]:
    declared = content.get("labels")
    if isinstance(declared, dict):
        if any(isinstance(value, list) for value in declared.values()):
            raise DataListError("D503", f"{path}: $.labels: regions (lists of values) are not supported; {_instead(content)}")
        declared = {name: value for name, value in declared.items() if name != IGNORE}
    return parse_names(declared, f"{path}: $.labels")


def _instead(content: dict[str, Any]) -> str:
    """What to do with a data set of regions: each value is a structure of its own, by options where the layout takes them."""
    if "dataset" in content:
        return "give each value one name there"
    declared = [value if isinstance(value, list) else [value] for name, value in content["labels"].items() if name != IGNORE]
    values = sorted({value for some in declared for value in some if isinstance(value, int) and value > 0})
    names = ",".join(f"{value}=NAME_{value}" for value in values)
    ignore = f" --ignore-label {content['labels'][IGNORE]}" if isinstance(content["labels"].get(IGNORE), int) else ""
    return f'to train each value as a structure of its own, add --labels-dir labelsTr --label-names "{names}"{ignore}'


def _ignore(content: dict[str, Any], path: Path) -> int | None:
    """The value of voxels that nobody annotated, None where dataset.json names none."""
    declared = content.get("labels")
    if not isinstance(declared, dict) or IGNORE not in declared:
        return None
    value = declared[IGNORE]
    if not isinstance(value, int) or isinstance(value, bool) or value == 0:
        raise DataListError("D503", f"{path}: $.labels.ignore: expected a whole number other than 0, saw {str(value)[:40]!r}")
    return value
