"""Layouts of raw data sets: one small reader each, all returning a `Source`."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from data_prep.bids import BidsChoice, is_bids
from data_prep.bids.listing import around, has_subjects
from data_prep.cases import Source
from data_prep.dead_links import absent
from data_prep.errors import ConfigError, DataError, DataListError
from data_prep.foreign import dicom_readable, foreign_kind, foreign_sentence, holds_dicom, links_sentence
from data_prep.layouts import bids, case_folders, dicom, folders, msd, nnunet
from data_prep.layouts.common import image_files, raw_dataset_json
from data_prep.quoting import quoted
from data_prep.reading import extension

NAMING_STRUCTURES = {"folders": folders.read, "cases": case_folders.read}  # each may have a file
READERS = {"msd": msd.read, "nnunet": nnunet.read}
DICOM = "dicom"
BIDS = "bids"
CASES = "cases"
LAYOUTS = ("auto", "folders", *READERS, CASES, DICOM, BIDS)
COMPANIONS = (".cfg", ".json", ".csv", ".tsv", ".txt", ".md", ".bval", ".bvec", ".raw", ".zraw")  # of images, no images


def read_source(
    root: Path,
    layout: str = "auto",
    labels_dir: str | None = None,
    series: str | None = None,
    accept: Collection[str] = (),
    bids_filter: str | None = None,
    bids_labels: str | None = None,
    label_names: str | Mapping[int, str] | None = None,
) -> Source:
    """List the cases of a raw data set.

    Args:
        root: its folder; of DICOM also one file.
        layout: "auto", "folders", "msd", "nnunet", "cases", "dicom" or "bids".
        labels_dir: another label folder than the layout's own; of BIDS the folder in derivatives/.
        series: which DICOM series are meant; see `data_prep.dicom.choice.choose`.
        accept: codes of judgements that the user overrules, where they say which cases there are.
        bids_filter: of BIDS, which contrasts; see `bids.wanted`.
        bids_labels: of BIDS, which labels.
        label_names: value -> name; of masks of structures in a file each they say which are meant.

    Raises:
        ConfigError: the layout or the label folder does not exist.
        DataError: the folder does not exist, the layout's own description (dataset.json) is damaged, or there is no image.
    """
    foreign = foreign_sentence(root) if root.is_file() else None
    if foreign and not (dicom_readable() and foreign_kind(root) == DICOM):
        raise DataListError("D507", f"{root}: {foreign}", str(root))
    if not root.is_dir() and not foreign:
        said = absent(root, f"there is no such folder; expected a folder with images. Type: ls {quoted(root.parent)}")
        raise DataError(f"{root}: {said}")
    if layout not in LAYOUTS:
        raise ConfigError(f"--layout {layout}: unknown; expected one of {', '.join(LAYOUTS)}")
    kind = DICOM if root.is_file() else detect(root, labels_dir) if layout == "auto" else layout
    choice = BidsChoice(bids_filter, bids_labels, labels_dir)
    if choice.given and kind != BIDS:
        raise ConfigError(f"{choice.given}: {root} has the layout {kind}, not bids; leave the option out")
    if kind == DICOM:
        return dicom.read(root, labels_dir, series, accept)
    if series is not None:
        raise ConfigError(f"--series {shlex.quote(series)}: {root} holds no DICOM series. Leave --series out")
    if kind in NAMING_STRUCTURES:
        source = NAMING_STRUCTURES[kind](root, labels_dir, label_names)
    else:
        source = bids.read(root, choice) if kind == BIDS else READERS[kind](root, labels_dir)
    return replace(source, ignored=_ignored(source))


def _ignored(source: Source) -> tuple[Path, ...]:
    """Files beside the images that no reader knows: scans in another format would be lost without a word."""
    folders = sorted({image.parent for case in source.cases for image in case.images if image.parent.is_dir()})
    files = (path for folder in folders for path in sorted(folder.iterdir()) if path.is_file() and not extension(path))
    return tuple(path for path in files if not path.name.startswith(".") and path.suffix.lower() not in COMPANIONS)


def detect(root: Path, labels_dir: str | None = None) -> str:
    """The layout of a folder: by its dataset.json, else by its sub-folders; `labels_dir` as in `read_source`.

    Raises:
        ConfigError: no layout fits.
        DataListError: it holds archives, or DICOM though pydicom is not installed.
    """
    described = raw_dataset_json(root)
    if described is not None:
        return "nnunet" if "channel_names" in described else "msd"
    if is_bids(root):
        return BIDS
    if (root / "images").is_dir() and (image_files(root / "images") or not holds_dicom(root)):
        return "folders"
    if dicom_readable() and holds_dicom(root):
        return _dicom_alone(root)
    whole = around(root)
    if whole is not None:
        raise ConfigError(
            f"{root}: no known layout; it is a part of the BIDS data set {quoted(whole)}: give that"
            + (f", with --bids-filter sub={root.name.removeprefix('sub-')}" if root.name.startswith("sub-") else "")
        )
    if case_folders.is_case_folders(root, labels_dir) or (labels_dir and case_folders.is_case_folders(root)):
        return CASES
    nearby = _one_level_off(root)
    if nearby:
        names = ", ".join(quoted(folder) for folder in nearby[:8])
        raise ConfigError(f"{root}: no known layout. A folder one level up or down has one. Give it: {names}")
    foreign = foreign_sentence(root)
    if foreign:
        raise DataListError("D507", f"{root}: {foreign}", str(root))
    loose = image_files(root)
    if loose:
        raise ConfigError(
            f"{root}: no known layout; {len(loose)} images lie directly in it. Expected images/, and labels/ with the same "
            f"file names: mkdir {_quoted(root, 'images')} {_quoted(root, 'labels')}, then move them; or look at one alone: "
            f"monai-hybrid check {quoted(loose[0])}"
        )
    links = links_sentence(root)
    if links:
        raise ConfigError(f"{root}: no known layout; {links}")
    found = sorted(path.name for path in root.iterdir())[:8]
    if has_subjects(root):
        raise ConfigError(f"{root}: no known layout; it looks like BIDS without dataset_description.json. Type: --layout bids")
    error = ConfigError if found else DataError  # what is not there is no mistaken setting
    raise error(
        f"{root}: no known layout; it holds {', '.join(found) or 'nothing'}. Expected images/ and "
        "labels/, a dataset.json of the Decathlon (MSD) or of nnU-Net, a folder a case with image and mask, or BIDS. "
        "Type: monai-hybrid build --help"
    )


def _dicom_alone(root: Path) -> str:
    """The layout of a folder that holds DICOM.

    Raises:
        ConfigError: other images lie beside it, so that nobody knows which are meant.
    """
    loose = image_files(root)
    if loose:
        raise ConfigError(
            f"{root}: it holds DICOM, and other images ({extension(loose[0])}). To take the DICOM series: --layout dicom; "
            f"masks go into {_quoted(root, 'labels')}"
        )
    return DICOM


def _quoted(root: Path, name: str) -> str:
    return quoted(root / name)


def _one_level_off(root: Path) -> list[Path]:
    """Data sets one level off: the folder above, when its images or one of its cases were given, or those within."""
    above = root.absolute().parent
    for images, labels in (("images", "labels"), ("imagesTr", "labelsTr")):
        if root.absolute().name in (images, labels) and (above / images).is_dir() and (above / labels).is_dir():
            return [root.parent if root.name else above]
    if image_files(root):
        return case_folders.near(root)
    named = [p for p in sorted(root.iterdir()) if (p / "images").is_dir() or (p / "imagesTr").is_dir()]
    return named or case_folders.near(root)
