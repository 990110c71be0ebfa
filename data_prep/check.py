"""`check`: examine a raw data set or a data list and say what is wrong, without writing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.cases import SPLITS, Case
from data_prep.checks import Finding
from data_prep.errors import ConfigError
from data_prep.examine import examine
from data_prep.files import read_datalist, read_dataset
from data_prep.label_names import parse_option
from data_prep.layouts import read_source
from data_prep.patients import PatientFinder


def check(
    path: str | Path,
    layout: str = "auto",
    labels_dir: str | None = None,
    label_names: str | Mapping[int, str] | None = None,
    allow_unlabelled: bool = False,
) -> list[Finding]:
    """Examine a folder of any layout that `build` reads, a datalist.json, or a folder that holds one.

    Returns:
        All findings, errors first; empty when there is nothing to say.

    Raises:
        ConfigError: the path does not exist or is of no known layout.
        DataError: the data set's own description (a JSON file) is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder. Type: ls {path.parent}")
    declared = parse_option(label_names) if label_names else None
    if path.is_file() or (path / "datalist.json").is_file():
        findings = _check_datalist(path if path.is_file() else path / "datalist.json", declared)
    else:
        findings = _check_source(path, layout, labels_dir, declared, allow_unlabelled)
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(findings, key=lambda finding: (order[finding.level], finding.code))


def _check_source(
    path: Path, layout: str, labels_dir: str | None, declared: Mapping[int, str] | None, allow_unlabelled: bool
) -> list[Finding]:
    raw = read_source(path, layout, labels_dir)
    patient = PatientFinder(path)
    cases = [replace(case, patient=patient(case.case_id)) for case in raw.cases]
    return list(examine(cases, len(raw.channels), declared or raw.label_names, raw.orphans, allow_unlabelled).findings)


def _check_datalist(path: Path, declared: Mapping[int, str] | None) -> list[Finding]:
    content = read_datalist(path)
    cases = [_case(entry, split) for split in SPLITS for entry in content[split]]
    channels = 1
    if (path.parent / "dataset.json").is_file():
        dataset = read_dataset(path.parent)
        channels = len(dataset["channels"])
        declared = declared or {entry["value"]: entry["name"] for entry in dataset["labels"]}
    return list(examine(cases, channels, declared, allow_unlabelled=True).findings)


def _case(entry: dict[str, Any], split: str) -> Case:
    images = entry["image"] if isinstance(entry["image"], list) else [entry["image"]]
    label = Path(entry["label"]) if "label" in entry else None
    return Case(entry["case_id"], tuple(Path(image) for image in images), label, entry["patient"], entry["site"], split)
