"""`check`: examine a raw data set, a data list or one image and say what is wrong, without writing anything."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from data_prep.accepting import parse_codes
from data_prep.cases import SPLITS, Source
from data_prep.checks import Finding, run_checks
from data_prep.checks.people import PATIENTS_STATED
from data_prep.colour import Colour, chosen_colour, parse_colour, with_colour
from data_prep.datalist import case_of
from data_prep.dead_links import absent
from data_prep.dicom.hiding import hidden, mask_files
from data_prep.errors import DataError, DataListError
from data_prep.examine import About, Reading, examine, examine_source
from data_prep.files import read_datalist, read_dataset
from data_prep.foreign import foreign_kind
from data_prep.grouped import Findings, ordered
from data_prep.ignoring import checked_ignore
from data_prep.in_processes import checked_jobs
from data_prep.label_names import chosen_names, parse_option
from data_prep.layouts.alone import one_image, source_or_images
from data_prep.naming import named
from data_prep.patients import PatientFinder
from data_prep.places import refuse_special
from data_prep.quoting import quoted
from data_prep.reading import extension
from data_prep.unused_lists import unused_lists

P = ParamSpec("P")


@dataclass(frozen=True)
class Checked:
    """Findings, errors first; and whether there are masks, which of DICOM series need not be."""

    findings: list[Finding]
    labelled: bool = True


def _findings_of(function: Callable[P, Checked]) -> Callable[P, Findings]:
    """The same with the findings alone."""

    @wraps(function)
    def findings(*args: P.args, **options: P.kwargs) -> Findings:
        path = args[0] if args else options["path"]
        return Findings(function(*args, **options).findings, Path(str(path)))

    findings.__name__ = findings.__qualname__ = "check"
    shown = inspect.signature(function).replace(return_annotation="Findings")
    findings.__signature__ = shown  # type: ignore[attr-defined]
    return findings


def checked(
    path: str | Path,
    layout: str = "auto",
    labels_dir: str | None = None,
    label_names: str | Mapping[int, str] | None = None,
    allow_unlabelled: bool = False,
    accept: str | None = None,
    channels: str | None = None,
    grey: bool = False,
    patient_regex: str | None = None,
    series: str | None = None,
    bids_filter: str | None = None,
    bids_labels: str | None = None,
    keep_names: bool = False,
    ignore_label: int | None = None,
    jobs: int = 1,
    images_dir: str | None = None,
) -> Checked:
    """Examine a folder of a layout that `build` reads, or of images alone; a datalist.json, a folder with one, or an image.

    `keep_names` shows patients, folders and files of DICOM as they are called, and not by pseudonyms.
    `ignore_label` is the label value of voxels that nobody annotated. `jobs` is the number of processes that read.
    A folder of images or of DICOM without any label counts as unlabelled images. `series` says which of its series are meant.

    Returns:
        All findings, errors first; empty when there is nothing to say. Shown in a notebook they are a line for each kind.

    Raises:
        ConfigError: the path is of no known layout, or an option is wrong.
        DataError: the path does not exist, or is a pipe or a device.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: {absent(path, f'there is no such file or folder. Type: ls {quoted(path.parent)}')}")
    refuse_special(path)
    declared = parse_option(label_names) if label_names else None
    codes, colour = parse_codes(accept), chosen_colour(channels, grey)
    how = {"layout": layout, "images_dir": images_dir, "labels_dir": labels_dir, "series": series}
    how |= {"bids_filter": bids_filter, "bids_labels": bids_labels}
    with named(keep_names):
        seen = _seen(
            path,
            how,
            declared,
            allow_unlabelled,
            codes,
            colour,
            patient_regex,
            checked_ignore(ignore_label),
            checked_jobs(jobs),
        )
    return Checked(ordered(seen.findings), seen.labelled)


check = _findings_of(checked)


def _seen(
    path: Path,
    how: Mapping[str, Any],
    declared: Mapping[int, str] | None,
    allow_unlabelled: bool,
    codes: Collection[str],
    colour: Colour,
    patient_regex: str | None,
    ignore: int | None,
    jobs: int,
) -> Checked:
    """`how`: layout, label folder, and the words that choose series or contrasts."""
    try:
        if path.is_file() and path.suffix.lower() != ".json" and not _is_dicom(path):
            return Checked(_check_image(path, codes, colour))
        if (path.is_file() and not _is_dicom(path)) or (path / "datalist.json").is_file():
            return Checked(check_datalist(path if path.is_file() else path / "datalist.json", declared, codes, ignore, jobs))
        raw = with_colour(source_or_images(path, accept=codes, label_names=declared, **how), colour)
        raw = raw if ignore is None else replace(raw, ignore=ignore)
        findings = _check_source(raw, declared, allow_unlabelled, codes, patient_regex, jobs)
        return Checked(list(hidden(findings, mask_files(raw))), raw.labelled)
    except DataListError as fault:
        return Checked(run_checks("datalist", fault, file=fault.file or str(path)))


def _is_dicom(path: Path) -> bool:
    return extension(path) is None and foreign_kind(path) == "dicom"


def _check_image(path: Path, accept: Collection[str], colour: Colour) -> list[Finding]:
    """One image, as a data set of one case without a label."""
    alone = with_colour(one_image(path), colour)
    channels = len(alone.channels)
    how = Reading(channels, accept=accept, colour=alone.colour)
    return list(examine(alone.cases, how, About(allow_unlabelled=True)).findings)


def _check_source(
    raw: Source,
    declared: Mapping[int, str] | None,
    allow_unlabelled: bool,
    accept: Collection[str],
    patient_regex: str | None,
    jobs: int,
) -> list[Finding]:
    finder = PatientFinder(raw.root, patient_regex)
    assigned = finder.assign(raw.cases)
    cases = assigned.cases
    unused = unused_lists(raw.root, cases, finder.table, False, raw.beside)
    unlabelled = allow_unlabelled or not raw.labelled
    about = About(allow_unlabelled=unlabelled, unused=unused, patients_stated=assigned.stated)
    result = examine_source(raw, cases, chosen_names(declared, raw), accept, about, jobs)
    return [*raw.findings, *result.findings]


def check_datalist(
    path: Path,
    declared: Mapping[int, str] | None = None,
    accept: Collection[str] = (),
    ignore: int | None = None,
    jobs: int = 1,
) -> list[Finding]:
    """Examine the cases of a datalist.json, held to the dataset.json beside it when there is one.

    Raises:
        DataListError: one of the two is damaged.
    """
    content = read_datalist(path)
    cases = [replace(case_of(entry, split), listed_in=path) for split in SPLITS for entry in content[split]]
    folds = [entry["fold"] for entry in content["training"]]
    if not (path.parent / "dataset.json").is_file():
        how, about = Reading(1, declared, accept, ignore=ignore), About(allow_unlabelled=True, folds=folds)
        return list(examine(cases, how, about, jobs=jobs).findings)
    dataset = read_dataset(path.parent)
    names = declared or {entry["value"]: entry["name"] for entry in dataset["labels"]}
    accepted = frozenset(accept) | frozenset(dataset.get("accepted", ()))
    how = Reading(
        len(dataset["channels"]),
        names,
        accepted,
        parse_colour(dataset.get("colour")),
        ignore=ignore if ignore is not None else dataset.get("ignore_value"),
    )
    stated = PATIENTS_STATED in accepted
    about = About(allow_unlabelled=True, modality=dataset["modality"], folds=folds, patients_stated=stated)
    return list(examine(cases, how, about, dataset["spatial_dims"], jobs).findings)
